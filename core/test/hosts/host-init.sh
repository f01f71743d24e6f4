# First process of a test host, in namespaces of its own. $1: the host's directory, $2: host name, $3: user,
# $4: directory with interpreters, or nothing.
set -e
hostname "$2"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/host /run/sshd /run/lock /run/pythons
[ -z "$4" ] || mount --rbind "$4" /run/pythons
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
cd /
# Everything ends with this process, and it ends with its input: when the test process dies, however it dies.
echo up
cat >/dev/null
