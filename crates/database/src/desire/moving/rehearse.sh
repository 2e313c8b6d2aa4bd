# Both servers must answer, the source must be readable, and its definitions must be accepted, before anything stops for the copy. They are
# tried in a database that is dropped again.
empty=$(say "$IS_EMPTY" | on_target query) || refuse "the new server does not answer"
[ "$empty" = t ] || refuse "the database on the new server is not empty"
read_definitions
say "$MAKE_SCRATCH" | on_target query --set=owner="$OWNER" --set=database="$TARGET_DATABASE" || refuse "the new server makes no database"
(
  TARGET_DATABASE=$SCRATCH
  TARGET_CONNECTION=dbname=$SCRATCH
  provide
  restore --use-list=/tmp/list /tmp/definitions || refused
)
say "$DROP_SCRATCH" | on_target query || refuse "the new server does not drop a database"
say "both servers answer, and the new one accepts the definitions"
