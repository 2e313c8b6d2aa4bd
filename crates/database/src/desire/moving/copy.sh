# Waits until nothing can write to the source, then copies the whole database.
is_still() {
  state=$(say "$IS_STILL" | on_source query) && [ "$state" = still ]
}

say "waiting until the old server has no clients"
deadline=$(($(date +%s) + 60))
# A session that was opened in the same moment shows a moment later.
until is_still && sleep 1 && is_still; do
  [ "$(date +%s)" -lt "$deadline" ] || refuse "the old server does not become still: ${state:-it does not answer}"
  sleep 0.25
done
# It changes whenever the source is opened or closed.
say "$CLOSED_AS" | on_source query > /tmp/closed_as
is_still || refuse "the old server was opened again: ${state:-it does not answer}"

say "copying"
read_definitions
provide
restore --section=pre-data --use-list=/tmp/list /tmp/definitions || refused

# Rows of extensions are not those of the login.
say "$NOT_COPIED" | on_source query > /tmp/not_copied || refuse "the extensions of the old server cannot be read"
set --
while IFS= read -r table; do set -- "$@" "--exclude-table-data=$table"; done < /tmp/not_copied
failed=/tmp/failed
{
  on_source pg_dump --format=custom --compress=0 --section=data $left_out "$@" 2> /tmp/reported || : > "$failed"
} | restore --section=data || [ -e "$failed" ] || refused
[ ! -e "$failed" ] || refuse "the old server could not be read to the end: $(reported /tmp/reported)"

restore --section=post-data --use-list=/tmp/list /tmp/definitions || refused
say "copied"
