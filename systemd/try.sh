#!/bin/bash
# Runs a unit as systemd would on a server, in namespaces of its own: a systemd as process 1 over a root that is thrown
# away, with this machine's /usr and network. The node then works for a while, reads its configuration again, and is stopped.
#
#   systemd/try.sh operator|aggregator DIRECTORY [SECONDS]
#
# DIRECTORY becomes /etc/ditto: operator.toml or aggregator.toml, the keys and, where these are keystores, keystore-password,
# for a network that runs (systemd/try-devnet.sh makes one; without state_dir, so that it is where the unit keeps it). An
# operator's journal is imported from DIRECTORY/journal, or made where there is none. BIN names where the binaries are,
# target/debug by default. Needs root. Nothing of this machine is changed but /sys/fs/cgroup/unified/ditto-try or, where version
# 2 is the only one, /sys/fs/cgroup/ditto-try.
#
# Not in force in here, for the controllers or BPF may be missing: MemoryMax, TasksMax, IPAddressDeny, DevicePolicy.
set -euo pipefail
umask 022
here=$(cd "$(dirname "$0")" && pwd)

if [ "${1:-}" = --inside ]; then
	shift
	unit=$1 etc=$2 bin=$3 root=$4
	mount --make-rprivate /
	mount -t tmpfs -o mode=755 tmpfs "$root"
	cd "$root"
	mkdir -p usr .upper .work etc/systemd/system etc/ssl etc/ditto proc sys dev run tmp var/lib var/tmp root .old
	mount -t overlay overlay -o "lowerdir=/usr,upperdir=$root/.upper,workdir=$root/.work" usr
	for name in bin sbin lib lib64; do ln -s usr/$name $name; done
	ln -s /run var/run
	cp "$bin/$unit" usr/bin/
	cp "$here/ditto-operator-as-service" usr/sbin/
	cp "$here/$unit.service" etc/systemd/system/
	cp "$etc"/* etc/ditto/
	rm -f etc/ditto/journal
	chmod 700 etc/ditto
	chmod 600 etc/ditto/*
	# The certificates that TLS to a node is checked with: without any, no client can be made.
	cp -rL /etc/ssl/certs etc/ssl/
	cp /etc/ld.so.cache /etc/nsswitch.conf /etc/hosts /etc/resolv.conf etc/
	printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nmessagebus:x:102:102::/:/bin/false\n' >etc/passwd
	printf 'root:x:0:\nnogroup:x:65534:\nsystemd-journal:x:101:\nmessagebus:x:102:\n' >etc/group
	echo 0123456789abcdef0123456789abcdef >etc/machine-id
	# Of the distribution's own services only the journal runs, and the bus, for systemd-run.
	for wanted in /usr/lib/systemd/system/{sysinit,local-fs,multi-user,sockets,timers}.target.wants/*; do
		case $wanted in */systemd-journald* | */dbus.s*) continue ;; esac
		ln -sfn /dev/null "etc/systemd/system/${wanted##*/}"
	done
	printf '[Unit]\nWants=systemd-journald.service dbus.socket\n' >etc/systemd/system/try.target
	mount -t proc proc proc
	mount -t sysfs -o ro sysfs sys
	mount -t cgroup2 cgroup2 sys/fs/cgroup
	mount -t tmpfs -o mode=755 tmpfs dev
	for node in null zero full random urandom tty; do
		touch dev/$node
		mount --bind /dev/$node dev/$node
	done
	mkdir dev/pts dev/shm
	mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
	ln -s pts/ptmx dev/ptmx
	ln -s /proc/self/fd dev/fd
	mount -t tmpfs -o mode=1777 tmpfs dev/shm
	mount -t tmpfs -o mode=755 tmpfs run
	mount -t tmpfs -o mode=1777 tmpfs tmp
	pivot_root . .old
	umount -l /.old
	# systemd brings credentials into place by propagation; a container's manager has to allow it.
	mount --make-rshared /
	exec env -i container=ditto-try PATH=/usr/bin:/usr/sbin \
		/lib/systemd/systemd --system --unit=try.target --log-target=journal --show-status=no
fi

[ $# -ge 2 ] || { sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2; }
unit=ditto-$1
etc=$(cd "$2" && pwd)
seconds=${3:-30}
bin=$(cd "${BIN:-$here/../target/debug}" && pwd)
listen=$(sed -n '/^\[telemetry\]/,/^\[/s/^listen *= *"\([^"]*\)".*/\1/p' "$etc/$1.toml")
root=$(mktemp -d)
group=/sys/fs/cgroup/unified
[ -d $group ] || group=/sys/fs/cgroup
group=$group/ditto-try
mkdir -p "$group"
(
	echo "$BASHPID" >"$group/cgroup.procs"
	exec unshare --mount --pid --ipc --uts --cgroup --fork --kill-child "$0" --inside "$unit" "$etc" "$bin" "$root"
) &
outer=$!
clean() {
	{
		kill -9 $outer && wait $outer
		sleep 1
		rmdir "$root"
		find "$group" -depth -type d -exec rmdir {} +
	} 2>/dev/null || true
}
trap clean EXIT
sleep 5
first=$(cat /proc/$outer/task/*/children | tr -d ' ')
inside() { nsenter -t "$first" -m -p -i -u -C -r -w env PATH=/usr/bin:/usr/sbin "$@"; }
fail() {
	echo "FAILED $*" >&2
	inside journalctl --no-pager -n 30 >&2 || true
	exit 1
}

for _ in $(seq 30); do
	case $(inside systemctl is-system-running 2>/dev/null || true) in running | degraded) break ;; esac
	sleep 1
done
# As an operator is told to: nothing is signed without a journal, and the service does not make one.
if [ "$1" = operator ]; then
	inside systemctl start "$unit" 2>/dev/null && fail "$unit starts without a journal"
	inside systemctl stop "$unit"
	if [ -e "$etc/journal" ]; then
		inside ditto-operator-as-service journal import - <"$etc/journal" || fail "the journal is not imported"
	else
		inside ditto-operator-as-service journal init || fail "the journal is not made"
	fi
	inside ditto-operator-as-service journal check || fail "the journal is not good"
fi
inside systemctl start "$unit" || fail "$unit does not start"
for _ in $(seq 60); do
	curl -fs "http://$listen/health/ready" >/dev/null && break
	sleep 1
done
curl -fs "http://$listen/health/ready" >/dev/null || fail "$unit is not ready after a minute"
sleep "$seconds"

# Confinement as the kernel has it, of the node and of everything that it started.
processes=$(inside cat "/sys/fs/cgroup/system.slice/$unit.service/cgroup.procs")
count=0
for pid in $processes; do
	status=$(inside cat /proc/"$pid"/status 2>/dev/null) || continue # a run that ended meanwhile
	count=$((count + 1))
	for line in 'NoNewPrivs:	1' 'Seccomp:	2' 'CapBnd:	0000000000000000' 'CapEff:	0000000000000000'; do
		grep -qx "$line" <<<"$status" || fail "process $pid: not $line"
	done
	grep -q '^Uid:	0' <<<"$status" && fail "process $pid runs as root"
done
[ "$count" -gt 0 ] || fail "$unit has no process"
[ "$(inside systemctl show --property=NRestarts "$unit")" = NRestarts=0 ] || fail "$unit was restarted"

metrics=$(curl -fs "http://$listen/metrics")
total() { awk -v name="$1" 'index($1, name) == 1 { sum += $2 } END { print sum + 0 }' <<<"$metrics"; }
if [ "$1" = operator ]; then
	runs=$(total 'ditto_operator_simulations_total{outcome="calls"}') votes=$(total 'ditto_p2p_votes_total{direction="out",outcome="accepted"}')
	[ "$runs" -gt 0 ] || fail "nothing was simulated"
	[ "$votes" -gt 0 ] || fail "no vote was taken"
	did="$runs runs in the sandbox, $votes votes taken"
else
	certificates=$(total ditto_aggregator_certificates_total) executed=$(total 'ditto_aggregator_tasks_total{state="executed"}')
	[ "$certificates" -gt 0 ] && [ "$executed" -gt 0 ] || fail "$certificates certificates, $executed tasks executed"
	did="$certificates certificates, $executed tasks executed"
fi
inside systemctl reload "$unit" || fail "$unit does not reload"
reloaded() { grep -q 'the configuration has not changed' <<<"$(inside journalctl --no-pager -o cat -u "$unit")"; }
for _ in $(seq 20); do
	reloaded && break
	sleep 0.5
done
reloaded || fail "$unit did not read its configuration again"
inside systemctl stop "$unit"
result=$(inside systemctl show --property=Result --value "$unit")
[ "$result" = success ] || fail "$unit stopped with $result"
echo "$unit under $(systemctl --version | head -1): $count processes confined; $did; reloaded, stopped cleanly"
