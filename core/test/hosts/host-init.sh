# First process of a test host, in namespaces of its own. $1: the host's directory, $2: host name, $3: user,
# $4: directory with interpreters, or nothing. $5: the project's .venv, or nothing. $6: not empty where root is an ordinary user outside.
set -e
hostname "$2"
# The host's sshd listens on port 22 also where it is not root's.
if [ -n "$6" ]; then echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start; fi
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/host /run/sshd /run/lock /run/pythons /run/venv
if [ -n "$4" ]; then
  mount --bind "$4" /run/pythons
  mount -o remount,bind,ro /run/pythons
fi
if [ -n "$5" ]; then
  mount --bind "$5" /run/venv
  mount -o remount,bind,ro /run/venv
fi
mount --bind "$1" /run/host
for file in passwd group shadow; do mount --bind "/run/host/$file" "/etc/$file"; done
mount --bind /run/host/tmp /tmp
if [ "$3" = root ]; then
  mount --bind /run/host/home /root
else
  mount --bind /run/host/root-home /root
  mount -t tmpfs -o mode=755 tmpfs /home
  mkdir "/home/$3"
  mount --bind /run/host/home "/home/$3"
fi
if [ -n "$4" ]; then
  # Where they were built too: they find their libraries by absolute path.
  mkdir -p "$4"
  mount --bind /run/pythons "$4"
fi
if [ -n "$5" ] && [ ! -d "$5" ]; then
  # The host has a /tmp of its own, and the project may lie in ours.
  mkdir -p "$5"
  mount --bind /run/venv "$5"
fi
cd /
# Everything ends with this process, and it ends with its input: when the test process dies, however it dies.
echo up
cat >/dev/null
