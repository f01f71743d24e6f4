# In a mount namespace of its own, as root: an ordinary user that the machine need not know, and that may write into the
# checkout without leaving anything there. $1: an empty folder, $2: the user's home, $3: its uid, $4: the checkout.
# Then the folders that it must reach, --, and the program. All others of /root and the like stay closed.
set -eu
stage=$1 home=$2 uid=$3 checkout=$4
shift 4
mount -t tmpfs -o mode=755 tmpfs "$stage"

{ echo "lctests:x:$uid:$uid::$home:/bin/bash"; cat /etc/passwd; } >"$stage/passwd"
{ echo "lctests:x:$uid:"; cat /etc/group; } >"$stage/group"
mount --bind "$stage/passwd" /etc/passwd
mount --bind "$stage/group" /etc/group
chown "$uid:$uid" "$home"

# What it writes goes into memory.
mkdir "$stage/upper" "$stage/work" "$stage/0"
mount -t overlay -o "lowerdir=$checkout,upperdir=$stage/upper,workdir=$stage/work" overlay "$stage/0"
find "$stage/0" \( -path "$stage/0/node_modules" -o -path "$stage/0/.venv" -o -path "$stage/0/.git" \) -prune -o -exec chown -h "$uid:$uid" {} +
# vite keeps things there, and earlier suites have made these folders.
for kept in .vite .vite-temp; do
  mkdir -p "$stage/0/node_modules/$kept"
  chown -R "$uid:$uid" "$stage/0/node_modules/$kept"
done

count=1
for folder; do
  [ "$folder" = -- ] && break
  mkdir "$stage/$count"
  mount --bind "$folder" "$stage/$count"
  count=$((count + 1))
done

# A folder that is closed to others becomes one that has nothing but what is to be reached.
open() {
  at=$1
  while [ "$at" != / ]; do
    at=$(dirname "$at")
    case $(stat -c %A "$at") in
      *x | *t) ;;
      *) closed=$at ;;
    esac
  done
}
place() {
  closed=
  open "$2"
  [ -z "$closed" ] || mount -t tmpfs -o mode=755 tmpfs "$closed"
  mkdir -p "$2"
  mount --move "$1" "$2"
}
place "$stage/0" "$checkout"
count=1
while [ "$1" != -- ]; do
  place "$stage/$count" "$1"
  count=$((count + 1))
  shift
done
shift

cd "$checkout"
exec setpriv --reuid "$uid" --regid "$uid" --clear-groups --inh-caps=-all -- "$@"
