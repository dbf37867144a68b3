package settings

import (
	"cmp"
	"time"

	"github.com/gitboot/gitboot/agent/fleetlock"
	"github.com/gitboot/gitboot/agent/outbound"
	"github.com/gitboot/gitboot/agent/reboot"
)

// fleetlockConfig is agent.toml's section [fleetlock]: who gives leave to restart.
// Nobody is asked without a URL.
type fleetlockConfig struct {
	URL       string `toml:"url" is:"fleetlock"`
	Group     string `toml:"group" is:"group"`
	ID        string `toml:"id"`
	TokenFile string `toml:"token_file" is:"path" holds:"secret"`
}

func (c fleetlockConfig) check() error { return outbound.Check(c.URL, c.TokenFile != "") }

// What holds where agent.toml says nothing.
const (
	defaultGrace    = time.Minute
	defaultPatience = 24 * time.Hour
)

// Restarts say whether the machine is restarted by itself, and how.
func (s Settings) Restarts() reboot.Options {
	return reboot.Options{
		Policy: reboot.Policy(s.Reboot), Method: reboot.Method(s.RebootMethod), Uptime: cmp.Or(time.Duration(s.RebootUptime), reboot.DefaultUptime), Grace: cmp.Or(time.Duration(s.RebootGrace), defaultGrace), Patience: cmp.Or(time.Duration(s.RebootPatience), defaultPatience),
	}
}

// Leave says who gives leave to restart a machine.
func (s Settings) Leave(machine string) fleetlock.Options {
	c := s.Config.Fleetlock
	return fleetlock.Options{
		URL: c.URL, Group: cmp.Or(c.Group, fleetlock.DefaultGroup), ID: cmp.Or(c.ID, machine), TokenFile: c.TokenFile,
		Proxy: s.proxies(), CAFile: s.CAFile,
	}
}
