# Makes the data directory, once. A crash at any point leaves either nothing that counts, or all of it: the directory is
# made beside its place and moved there when it is whole.
set -eu
if [ -s "$PGDATA/PG_VERSION" ]; then
  has=$(cat "$PGDATA/PG_VERSION")
  is=$(postgres --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
  if [ "$has" != "$is" ]; then
    echo "the data are of PostgreSQL $has and the image is of $is: name an image of $has in spec.provider.postgres.image" >&2
    exit 1
  fi
  echo "the data of PostgreSQL $has are there"
  exit 0
fi
rm -rf "$PGDATA.new"
# Local is this pod alone, where who may run a program may read the data anyway; it is the way back in when the
# administrator's Secret is lost.
initdb --pgdata="$PGDATA.new" --username="$ADMINISTRATOR" --pwfile=/etc/administrator/password \
  --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --data-checksums
echo "host all all all scram-sha-256" >> "$PGDATA.new/pg_hba.conf"
sync
mv -T "$PGDATA.new" "$PGDATA"
