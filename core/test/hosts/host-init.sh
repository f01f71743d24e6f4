# First process of a test host, in namespaces of its own. $1: the host's directory, $2: host name, $3: user,
# $4: directory with interpreters, or nothing. $5: not empty where the host's root is an ordinary user outside.
# Then the folders that the host sees where they are here.
set -e
host=$1 name=$2 user=$3 pythons=$4 within=$5
shift 5
hostname "$name"
# The host's sshd listens on port 22 also where it is not root's.
if [ -n "$within" ]; then echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start; fi
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/host /run/sshd /run/lock /run/pythons /run/shared
# $1: from, $2: to. An ordinary user may not change how a mount of the machine is mounted, and cannot harm more than its own.
bind_read_only() {
  mount --bind "$1" "$2"
  mount -o remount,bind,ro "$2" 2>/dev/null || [ -n "$within" ]
}
if [ -n "$pythons" ]; then bind_read_only "$pythons" /run/pythons; fi
count=0
for folder; do
  mkdir /run/shared/$count
  bind_read_only "$folder" /run/shared/$count
  count=$((count + 1))
done
mount --bind "$host" /run/host
for file in passwd group shadow; do mount --bind "/run/host/$file" "/etc/$file"; done
mount --bind /run/host/tmp /tmp
if [ "$user" = root ]; then
  mount --bind /run/host/home /root
else
  mount --bind /run/host/root-home /root
  mount -t tmpfs -o mode=755 tmpfs /home
  mkdir "/home/$user"
  mount --bind /run/host/home "/home/$user"
fi
if [ -n "$pythons" ]; then
  # Where they were built too: they find their libraries by absolute path.
  mkdir -p "$pythons"
  mount --bind /run/pythons "$pythons"
fi
count=0
for folder; do
  # The host has homes and a /tmp of its own, and the project may lie in ours.
  if [ ! -d "$folder" ]; then
    mkdir -p "$folder"
    mount --bind /run/shared/$count "$folder"
  fi
  count=$((count + 1))
done
cd /
# Everything ends with this process, and it ends with its input: when the test process dies, however it dies.
echo up
cat >/dev/null
