# Runs a program with the address and the login of a server in its environment: they are in no argument.
#
# What the old server answers is never a statement on the new one: names go there as values, and definitions and rows are restored by
# the application's login, which may no more than the application.
set -eu

# All that is restored belongs to the owner's role. The rest only an administrator may make, or means nothing on another server.
left_out="--no-owner --no-acl --no-tablespaces --no-security-labels --no-publications --no-subscriptions"

on_source() (
  export PGHOST=$SOURCE_HOST PGPORT=$SOURCE_PORT PGUSER=$SOURCE_USERNAME PGPASSWORD=$SOURCE_PASSWORD PGDATABASE=$SOURCE_DATABASE
  [ -z "$SOURCE_OPTIONS" ] || export PGOPTIONS=$SOURCE_OPTIONS
  "$@"
)

# As the administrator. Whoever owns a database chooses its search path, so this session has another.
on_target() (
  export PGHOST=$TARGET_HOST PGPORT=$TARGET_PORT PGUSER=$TARGET_USERNAME PGPASSWORD=$TARGET_PASSWORD PGDATABASE=$TARGET_DATABASE
  export PGOPTIONS="-c search_path=pg_catalog"
  "$@"
)

# Carries out the statements on standard input, and writes one answer a line. Errors show no rows.
query() {
  psql --no-psqlrc --quiet --tuples-only --no-align \
    --set=ON_ERROR_STOP=1 --set=VERBOSITY=terse --set=SHOW_CONTEXT=never "$@" --file=-
}

say() {
  printf '%s\n' "$1"
}

refuse() {
  say "$1" >&2
  exit 1
}

# The first line of what a program has reported: the next ones may be rows.
reported() {
  head -n 1 "$1" | cut -c 1-300
}

# Reads all definitions of the source, and lists those that the login makes: extensions are made before.
read_definitions() {
  on_source pg_dump --format=custom --compress=0 --section=pre-data --section=post-data $left_out \
    > /tmp/definitions 2> /tmp/reported || refuse "the old server cannot be read: $(reported /tmp/reported)"
  say "$MADE_BEFORE" | on_source query > /tmp/made_before || refuse "the extensions of the old server cannot be read"
  pg_restore --list /tmp/definitions > /tmp/all
  grep -Ev '^[0-9]+; [0-9]+ [0-9]+ (EXTENSION - |COMMENT - EXTENSION )' /tmp/all > /tmp/others || :
  grep -vF -f /tmp/made_before /tmp/others > /tmp/list || :
}

# Makes what only the administrator may make: extensions, and the roles that policies name.
provide() {
  needs=$(say "$NEEDS" | on_source query) || refuse "the extensions of the old server cannot be read"
  say "$PROVIDE" | on_target query --set=needs="$needs" --set=owner="$OWNER" ||
    refuse "the new server refused an extension or a role"
}

# Restores a part. Policies may apply to the owner, too: a materialized view has what the owner sees.
restore() (
  export PGHOST=$TARGET_HOST PGPORT=$TARGET_PORT PGUSER=$LOGIN_USERNAME PGPASSWORD=$LOGIN_PASSWORD
  pg_restore --exit-on-error --role="$OWNER" --dbname="$TARGET_CONNECTION" --enable-row-security $left_out "$@" 2> /tmp/refused
)

refused() {
  refuse "the new server refused a part of the copy: $(reported /tmp/refused)"
}
