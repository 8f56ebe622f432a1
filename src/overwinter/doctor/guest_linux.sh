# What the doctor wants to know of a Linux guest, as lines of name=value. It changes nothing, needs no more than a
# POSIX shell, and ends by itself: some of these programs may wait for a file system that does not answer. What is
# quick to find comes first, because what was told by then counts.
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
me=$$
(sleep 12; kill -9 $me) >/dev/null 2>&1 &
watch=$!
say() { printf '%s=%s\n' "$1" "$2"; }
have() { command -v "$1" >/dev/null 2>&1; }

for process in /proc/[0-9]*/comm; do
    read -r name <"$process" 2>/dev/null || continue
    case $name in
        apt-get | aptitude | dpkg | dnf | yum | rpm | zypper | pacman | apk) say packaging "$name" ;;
    esac
done
if [ -d /var/lib/dpkg/updates ]; then
    set -- /var/lib/dpkg/updates/*
    if [ -e "$1" ]; then say interrupted yes; else say interrupted no; fi
fi
if [ -r /etc/waagent.conf ]; then
    sed -n 's/^[[:space:]]*Extensions\.Enabled\{0,1\}[[:space:]]*=[[:space:]]*\([A-Za-z]*\).*/extensions=\1/p
            s/^[[:space:]]*Provisioning\.Agent[[:space:]]*=[[:space:]]*\([A-Za-z-]*\).*/provisioning=\1/p' /etc/waagent.conf
fi
if have python3; then
    version=$(python3 -V 2>/dev/null)
    say python "${version#Python }"
else
    say python ""
fi
if [ -d /run/systemd/system ] && have systemctl; then
    # A unit that does not exist has properties too.
    systemctl show -p LoadState -p Restart qemu-guest-agent.service qemu-ga.service 2>/dev/null | {
        loaded= restart=
        while read -r line; do
            case $line in
                LoadState=*) loaded=${line#*=} ;;
                Restart=*) restart=${line#*=} ;;
            esac
            if [ "$loaded" ] && [ "$restart" ]; then
                [ "$loaded" != loaded ] || say restart "$restart"
                loaded= restart=
            fi
        done
    }
    say state "$(systemctl is-system-running 2>/dev/null)"
fi
if [ -e /run/reboot-required ] || [ -e /var/run/reboot-required ]; then
    say reboot yes
elif have needs-restarting; then
    if needs-restarting -r >/dev/null 2>&1; then say reboot no; else say reboot yes; fi
else
    say reboot no
fi
if have coredumpctl; then
    say crashes "$(coredumpctl --no-legend --no-pager --since=-1day list qemu-ga 2>/dev/null | grep -c .)"
fi
if have ausearch; then
    say denials "$(ausearch -m avc -c qemu-ga -ts today --raw 2>/dev/null | grep -c .)"
fi
kill $watch 2>/dev/null
