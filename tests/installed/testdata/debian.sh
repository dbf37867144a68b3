# In a booted system: the package is installed, and gitboot-poll was enabled when
# it was a unit of its own.

# The agent runs, by the old name as well, and has converged under the unit's
# restrictions.
systemctl is-active gitboot.service gitboot-poll.service
test "$(systemctl show --value -p Id gitboot-poll.service)" = gitboot.service
gitboot reconcile --now --wait
grep 'BEGIN gitboot' /boot/grub/custom.cfg
gitboot status
gitboot status --json | grep '"generation": 1'
systemctl show --value -p StatusText gitboot | grep .

# Who may ask it, and what it may not write.
test "$(stat -c '%a %U %G' /run/gitboot)" = '750 root gitboot'
test "$(stat -c '%a %U %G' /run/gitboot/control.sock)" = '660 root gitboot'
pid=$(systemctl show --value -p MainPID gitboot)
! nsenter --target $pid --mount touch /etc/x /usr/x
nsenter --target $pid --mount touch /boot/grub/x /var/lib/gitboot/tmp/x
rm /boot/grub/x
test "$(stat -c '%a %U %G' /var/lib/gitboot)" = '700 root root'

# Its log has fields.
journalctl --sync
journalctl --unit=gitboot MACHINE=laptop --output=json | grep '"REVISION"'

# A reload is a look now.
systemctl reload gitboot
systemctl is-active gitboot

# doctor knows it.
gitboot doctor --offline || :
gitboot doctor --offline --json > /test/doctor.json || :
grep -A3 '"check": "service"' /test/doctor.json
systemctl enable gitboot
gitboot doctor --offline | grep 'ok    service: gitboot.service runs, and does so after a boot'

# Whom a restart would disturb, as the login manager says.
echo 'reboot = "always"' >> /etc/gitboot/agent.toml
gitboot doctor --offline | grep 'ok    restart: the agent restarts this machine; nobody is present'
systemd-inhibit --what=shutdown:sleep --who=backup --why='writes to tape' --mode=block sleep 300 &
backup=$!
systemd-inhibit --what=shutdown --who=editor --why='asks first' --mode=delay sleep 300 &
editor=$!
timeout 20 sh -c 'until gitboot doctor --offline | grep "that would disturb backup (writes to tape)$"; do sleep 0.2; done'
kill $backup $editor
timeout 20 sh -c 'until gitboot doctor --offline | grep "nobody is present"; do sleep 0.2; done'
useradd --create-home ada
session() { systemd-run --quiet --unit="$1" --property=PAMName=login --property=User=ada "${@:2}" sleep 300; }
session job --setenv=XDG_SESSION_CLASS=background # as cron's are
timeout 20 sh -c 'until loginctl list-sessions --no-legend | grep ada; do sleep 0.2; done'
gitboot doctor --offline | grep 'nobody is present'
session login --pty &
timeout 20 sh -c 'until gitboot doctor --offline | grep "that would disturb the session of ada$"; do sleep 0.2; done'
systemctl stop login.service
timeout 20 sh -c 'until gitboot doctor --offline | grep "nobody is present"; do sleep 0.2; done'
systemctl stop job.service
sed -i /reboot/d /etc/gitboot/agent.toml

# An agent that hangs is started anew.
mkdir -p /run/systemd/system/gitboot.service.d
printf '[Service]\nWatchdogSec=1s\nTimeoutAbortSec=1s\nRestartSec=100ms\n' > /run/systemd/system/gitboot.service.d/short.conf
systemctl daemon-reload
systemctl restart gitboot
kill -STOP "$(systemctl show --value -p MainPID gitboot)"
timeout 60 sh -c 'until test "$(systemctl show --value -p NRestarts gitboot)" -ge 1 && systemctl is-active gitboot; do sleep 0.1; done' > /test/watchdog
rm -r /run/systemd/system/gitboot.service.d
systemctl daemon-reload
systemctl restart gitboot

# An upgrade and a downgrade keep settings and state, leave the menu alone, and what
# runs is what is installed.
gitboot reconcile --now --wait
cp /var/lib/gitboot/state.json /test/state.json
cp /boot/grub/custom.cfg /test/custom.cfg
for version in 2.0 1.0; do
	systemctl reset-failed gitboot # the starts before this one do not count
	pid=$(systemctl show --value -p MainPID gitboot)
	dpkg -i --force-downgrade /$version.deb
	systemctl is-active gitboot
	test "$(systemctl show --value -p MainPID gitboot)" != "$pid"
	test "$(readlink /proc/$(systemctl show --value -p MainPID gitboot)/exe)" = /usr/bin/gitboot
	grep /srv/fleet /etc/gitboot/agent.toml
	gitboot reconcile --now --wait
	cmp /var/lib/gitboot/state.json /test/state.json
	cmp /boot/grub/custom.cfg /test/custom.cfg
done

# The other way: a timer, which takes the agent's place.
systemctl disable gitboot
systemctl enable --now gitboot.timer
! systemctl is-active gitboot
systemctl start gitboot-once.service
test "$(systemctl show --value -p Result gitboot-once.service)" = success
gitboot doctor --offline | grep 'ok    service: gitboot.timer runs, and does so after a boot'
test "$(systemctl show --value -p Unit gitboot.timer)" = gitboot-once.service

# Without the package nothing runs, and all boots that did.
dpkg -r gitboot 2>&1 | tee /test/removed
grep 'the stage /var/lib/gitboot stays' /test/removed
! systemctl is-active gitboot.timer
! test -e /usr/bin/gitboot
cmp /var/lib/gitboot/state.json /test/state.json
cmp /boot/grub/custom.cfg /test/custom.cfg
test -e /etc/gitboot/agent.toml
dpkg -P gitboot
! test -e /etc/gitboot/agent.toml
test -e /var/lib/gitboot/state.json
cmp /boot/grub/custom.cfg /test/custom.cfg
