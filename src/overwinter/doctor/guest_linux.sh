# What the doctor wants to know of a Linux guest, as lines of name=value. It changes nothing, needs no more than a
# POSIX shell, and ends by itself: some of these programs may wait for a file system that does not answer.
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
me=$$
(sleep 7; kill -9 $me) >/dev/null 2>&1 &
watch=$!
say() { printf '%s=%s\n' "$1" "$2"; }
have() { command -v "$1" >/dev/null 2>&1; }

if [ -e /run/reboot-required ] || [ -e /var/run/reboot-required ]; then
    say reboot yes
elif have needs-restarting; then
    if needs-restarting -r >/dev/null 2>&1; then say reboot no; else say reboot yes; fi
else
    say reboot no
fi
for process in /proc/[0-9]*/comm; do
    read -r name <"$process" 2>/dev/null || continue
    case $name in
        apt-get | aptitude | dpkg | dnf | yum | rpm | zypper | pacman | apk) say packaging "$name" ;;
    esac
done
if [ -d /var/lib/dpkg/updates ]; then
    if [ -n "$(ls /var/lib/dpkg/updates)" ]; then say interrupted yes; else say interrupted no; fi
fi
if have python3; then
    say python "$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)"
else
    say python ""
fi
if [ -d /run/systemd/system ] && have systemctl; then
    say state "$(systemctl is-system-running 2>/dev/null)"
    # A unit that does not exist has properties too.
    for unit in qemu-guest-agent qemu-ga; do
        if [ "$(systemctl show -p LoadState "$unit.service" 2>/dev/null)" = LoadState=loaded ]; then
            restart=$(systemctl show -p Restart "$unit.service" 2>/dev/null)
            say restart "${restart#Restart=}"
            break
        fi
    done
fi
if [ -r /etc/waagent.conf ]; then
    sed -n 's/^[[:space:]]*Extensions\.Enabled\{0,1\}[[:space:]]*=[[:space:]]*\([A-Za-z]*\).*/extensions=\1/p
            s/^[[:space:]]*Provisioning\.Agent[[:space:]]*=[[:space:]]*\([A-Za-z-]*\).*/provisioning=\1/p' /etc/waagent.conf
fi
if have coredumpctl; then
    say crashes "$(coredumpctl --no-legend --no-pager --since=-1day list qemu-ga 2>/dev/null | grep -c .)"
fi
if have ausearch; then
    say denials "$(ausearch -m avc -c qemu-ga -ts today --raw 2>/dev/null | grep -c .)"
fi
kill $watch 2>/dev/null
