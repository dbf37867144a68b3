# xbps.sh ROOT VERSION does the same: no xbps is to be had here, so its files are written as
# its source writes them.
set -e
here=$(dirname "$0")
db=$1/var/db/xbps
mkdir -p "$1/usr/share/one" "$1/usr/lib/one" "$1/usr/share/tools" "$db"
echo data > "$1/usr/share/one/data"
echo lib > "$1/usr/lib/one/lib"
echo tools $2 > "$1/usr/share/tools/data"
sed "s|VERSION|$2|" "$here/pkgdb.plist" > "$db/pkgdb-0.38.plist"
for owned in one:/usr/share/one/data one-libs:/usr/lib/one/lib tools:/usr/share/tools/data; do
  sed "s|FILE|${owned#*:}|" "$here/files.plist" > "$db/.${owned%%:*}-files.plist"
done
