// Package health is what a config repo says of when a boot is good.
package health

import (
	"time"

	"github.com/gitboot/gitboot/deployment"
)

// A HealthDecl is a table health. Without any, deployment.DefaultHealth holds.
type HealthDecl struct {
	After         *string     `key:"after" is:"health-after" default:"default" doc:"When looking begins. default: when the image's init says that the boot has ended. start: at once."`
	Settle        *string     `key:"settle" is:"seconds" default:"10s" doc:"For how long all must stay well."`
	Deadline      *string     `key:"deadline" is:"seconds" default:"10m" doc:"How long it may take, from entering the image, until all is well and has stayed so. Then the machine restarts."`
	Required      *ChecksDecl `key:"required" doc:"What must succeed; what does not is tried again until the deadline."`
	Wanted        *ChecksDecl `key:"wanted" doc:"What should succeed: if it does not, the boot is good all the same, and its record says so."`
	Confirm       *string     `key:"confirm" is:"confirm" doc:"outside: a boot is good only once it is confirmed: by gitboot boot confirm, by root's making the file /run/gitboot/confirm, or by confirm_url. Then a change that locks everybody out goes away by itself."`
	ConfirmWithin *string     `key:"confirm_within" is:"seconds" default:"15m" doc:"With confirm: how long that may take once all else is well. Then the machine restarts."`
	ConfirmURL    *string     `key:"confirm_url" is:"http-url" doc:"With confirm: a URL that confirms by answering with status 2xx; http:// only."`
	Watchdog      *bool       `key:"watchdog" default:"true" doc:"Feed a hardware watchdog until the boot is judged, unless the image means to feed one: then a kernel that hangs restarts, too."`
}

// A ChecksDecl is a table of checks.
type ChecksDecl struct {
	Hosts    []string `key:"hosts" is:"host" doc:"Hosts that answer: a name or an address for a ping, HOST:PORT for a connection. Names are resolved by the image's getent."`
	Units    []string `key:"units" is:"unit" doc:"Services of the image's init that run: units of systemd, services of OpenRC and runit, scripts in /etc/init.d that know status."`
	Commands []string `key:"commands" is:"command" doc:"Commands of the image that end with status 0 within a minute: a program and its arguments, with double quotes around white space. No shell reads them."`
}

// Of is what was declared, nil if nothing was.
func Of(d *HealthDecl) *deployment.Health {
	if d == nil {
		return nil
	}
	h := deployment.DefaultHealth()
	set(&h.After, d.After)
	setSeconds(&h.Settle, d.Settle)
	setSeconds(&h.Deadline, d.Deadline)
	h.Required, h.Wanted = checks(d.Required), checks(d.Wanted)
	set(&h.Confirm, d.Confirm)
	if h.Confirm != "" {
		h.ConfirmWithin = deployment.DefaultConfirmWithin
	}
	setSeconds(&h.ConfirmWithin, d.ConfirmWithin)
	set(&h.ConfirmURL, d.ConfirmURL)
	h.NoWatchdog = d.Watchdog != nil && !*d.Watchdog
	return &h
}

func checks(d *ChecksDecl) *deployment.Checks {
	if d == nil || len(d.Hosts)+len(d.Units)+len(d.Commands) == 0 {
		return nil
	}
	c := &deployment.Checks{Hosts: append([]string(nil), d.Hosts...), Units: append([]string(nil), d.Units...)}
	for _, command := range d.Commands {
		c.Commands = append(c.Commands, deployment.Fields(command))
	}
	return c
}

func set(to, from *string) {
	if from != nil {
		*to = *from
	}
}

// setSeconds takes a length of time that was checked.
func setSeconds(to *int, from *string) {
	if from == nil {
		return
	}
	if d, err := time.ParseDuration(*from); err == nil {
		*to = int(d / time.Second)
	}
}
