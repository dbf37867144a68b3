# What a machine tells of itself on its console; of which commit it is, step says.
exec >/dev/console 2>&1

echo "lab: step $step is deployment $(gitboot boot current)"
journalctl --unit=gitboot --follow --lines=all --output=cat | sed -u "s/^/lab: $step: /" &

echo "lab: /root is $(stat -c %a /root), and nothing is mounted at $(sed -n 's/^#.* LABEL=UEFI \([^ ]*\).*/\1/p' /etc/fstab)"
until gitboot status >/tmp/status && grep -q '; good' /tmp/status; do sleep 1; done
gitboot boot history | sed "s/^/lab: history $step: /"
sed "s/^/lab: status $step: /" /tmp/status
gitboot doctor | sed "s/^/lab: doctor $step: /"
echo "lab: token $(stat -c '%a %U' /etc/gitboot/token), socket $(stat -c '%a %U %G' /run/gitboot/control.sock)"
pid=$(systemctl show --value -p MainPID gitboot)
for mounts in /proc/mounts /proc/$pid/mounts; do
	sed -n 's,^[^ ]* /run/initramfs/gitboot \([^ ]* r[ow]\).*,lab: the stage is \1,p' $mounts
done
if [ "$step" = 1 ]; then
	# Somebody sits at the machine.
	systemd-run --quiet --pty --property=PAMName=login --property=User=ada sleep infinity &
	until loginctl list-sessions --no-legend | grep -q ada; do sleep 1; done
	until gitboot doctor --offline | grep 'that would disturb the session of ada'; do sleep 1; done
fi
echo "lab: step $step is told"
until [ "$step" = 2 ] || gitboot status | grep 'the restart to it: '; do sleep 1; done
wait # for what goes on telling, which would end with this
