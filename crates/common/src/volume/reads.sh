# Functions for init programs, for sh and bash. An error is no absence: a volume that answers with EIO or ESTALE has data, for all
# that is known.

# Writes a line of the log, with its time.
say() { echo "$(date -u +%FT%TZ) $*"; }

unreadable() {
  echo "$1 cannot be read: $2; check the volume and its node"
  exit 1
}

# Whether something exists at a path.
exists() {
  answer=$(LC_ALL=C stat -L -c x -- "$1" 2>&1) && return 0
  case $answer in
  *": No such file or directory" | *": Not a directory") return 1 ;;
  esac
  unreadable "$1" "$answer"
}

# Whether a directory exists and has something in it.
has_entries() {
  exists "$1" || return 1
  entries=$(LC_ALL=C ls -A -- "$1" 2>&1) || unreadable "$1" "$entries"
  [ -n "$entries" ]
}

