# The functions of scripts that check a running machine. They print "lab: PASS
# name" or "lab: FAIL name: why" lines, and a verdict.

pass=0
fail=0

# check NAME COMMAND…: the command's output is why it failed.
check() {
	name=$1
	shift
	if why=$("$@" 2>&1); then
		pass=$((pass + 1))
		echo "lab: PASS $name"
	else
		fail=$((fail + 1))
		echo "lab: FAIL $name: $why"
	fi
}

is() {
	[ "$1" = "$2" ] || {
		echo "is \"$1\", want \"$2\""
		return 1
	}
}

absent() {
	if [ -e "$1" ] || [ -L "$1" ]; then
		echo "$1 is there"
		return 1
	fi
}

no_failed_units() {
	[ -d /run/systemd/system ] || return 0
	is "$(systemctl list-units --failed --plain --no-legend | cut -d' ' -f1 | tr '\n' ' ')" ""
}

verdict() { echo "lab: verdict: $pass passed, $fail failed"; }
