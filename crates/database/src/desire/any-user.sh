# The platform chose the user, who may have no name. initdb asks for it, whatever name it is given.
if ! getent passwd "$(id -u)" > /dev/null 2>&1; then
  names=${TMPDIR:-/tmp}
  wrapper=
  for library in /usr/lib/*/libnss_wrapper.so /usr/lib/libnss_wrapper.so /usr/lib64/libnss_wrapper.so; do
    if [ -s "$library" ]; then wrapper=$library; fi
  done
  if [ -n "$wrapper" ]; then
    echo "postgres:x:$(id -u):$(id -g):PostgreSQL:/tmp:/bin/false" > "$names/passwd"
    echo "postgres:x:$(id -g):" > "$names/group"
    initdb() {
      LD_PRELOAD=$wrapper NSS_WRAPPER_PASSWD=$names/passwd NSS_WRAPPER_GROUP=$names/group command initdb "$@"
    }
  else
    say "user $(id -u) has no name, and the image has no libnss_wrapper; use an image with it, or set spec.pods.securityContext to Managed"
  fi
fi
