# Makes the data directory, once. A crash at any point leaves either nothing that counts, or all of it: the directory is
# made beside its place and moved there when it is whole. Nothing that may be of value is removed.
set -eu

refuse() {
  echo "$*" >&2
  exit 1
}

empty="delete PersistentVolumeClaim/data-$(hostname) and this pod to start empty"
if exists "$PGDATA/PG_VERSION"; then
  has=$(cat "$PGDATA/PG_VERSION")
  [ -n "$has" ] || refuse "the data directory is damaged: $PGDATA/PG_VERSION is empty; restore a backup, or $empty"
  is=$(postgres --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
  if [ "$has" != "$is" ]; then
    refuse "the data directory is of PostgreSQL $has, but the image has $is: set spec.provider.postgres.image to an image of PostgreSQL $has"
  fi
  echo "found the data of PostgreSQL $has"
  exit 0
fi
if has_entries "$PGDATA"; then
  refuse "the data directory is damaged: $PGDATA is not empty and has no PG_VERSION; restore a backup, or $empty"
fi
# A volume of another installation: the directory may be the mount itself, or have a version in its path. What is made below has never
# run, so it has no postmaster.opts.
volume=$(dirname "$PGDATA")
if exists "$PGDATA.new/postmaster.opts"; then made=; else made=$PGDATA.new; fi
others=$(LC_ALL=C find "$volume" -maxdepth 3 \( -name lost+found -o -path "$made" \) -prune -o -name PG_VERSION -print 2>&1) ||
  unreadable "$volume" "$others"
for other in $others; do
  refuse "refusing to start empty: the volume has the data directory $(dirname "$other"), and this server's is $PGDATA; move it there, or $empty"
done

rm -rf "$PGDATA.new"
# Local is this pod alone, where who may run a program may read the data anyway; it is the way back in when the
# administrator's Secret is lost.
initdb --pgdata="$PGDATA.new" --username="$ADMINISTRATOR" --pwfile=/etc/administrator/password \
  --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --data-checksums
echo "host all all all scram-sha-256" >> "$PGDATA.new/pg_hba.conf"
sync
mv -T "$PGDATA.new" "$PGDATA"
