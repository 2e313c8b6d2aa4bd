# Counts the same on both servers, at the same time.
count() {
  say "$INVENTORY" | "$1" query > "/tmp/$1"
}

count on_target & counting=$!
count on_source || refuse "the old server cannot be counted"
wait "$counting" || refuse "the new server cannot be counted"
for side in on_source on_target; do LC_ALL=C sort -o "/tmp/$side" "/tmp/$side"; done
if ! diff /tmp/on_source /tmp/on_target > /tmp/difference; then
  say "the copy differs (< old server, > new server):" >&2
  head -n 20 /tmp/difference >&2
  exit 1
fi
say "$OF_OTHERS" | on_target query --set=owner="$OWNER" > /tmp/of_others || refuse "the new server cannot be counted"
[ ! -s /tmp/of_others ] || refuse "not all of the copy belongs to the owner's role: $(reported /tmp/of_others)"

# Rows that changed meanwhile may have the same number.
say "$CLOSED_AS" | on_source query > /tmp/closed_now || refuse "the old server does not answer"
cmp -s /tmp/closed_as /tmp/closed_now || refuse "the old server was opened to its clients before the copy was complete"
say "no difference in $(wc -l < /tmp/on_source) counts"
