package settings

import (
	"cmp"

	"github.com/gitboot/gitboot/agent/forge"
	"github.com/gitboot/gitboot/agent/notify"
	"github.com/gitboot/gitboot/agent/outbound"
	"github.com/gitboot/gitboot/internal/owned"
)

// notifyConfig is agent.toml's section [notify]: who is told of what happens.
type notifyConfig struct {
	Events    []string `toml:"events" is:"events"`
	Command   []string `toml:"command" is:"command"`
	URL       string   `toml:"url" is:"notify-url"`
	Kind      string   `toml:"kind" is:"notify-kind"`
	TokenFile string   `toml:"token_file" is:"path" holds:"secret"`
	Desktop   bool     `toml:"desktop"`
}

// Notifications say who is told of what happens.
func (s Settings) Notifications() notify.Options {
	c := s.Notify
	return notify.Options{
		Events: c.Events, Command: c.Command, URL: c.URL, Kind: cmp.Or(c.Kind, notify.Webhook), TokenFile: c.TokenFile, Desktop: c.Desktop,
		Proxy: s.proxies(), CAFile: s.CAFile,
	}
}

// wrong says what is wrong with a value of the section.
func (c notifyConfig) wrong(is string) error {
	switch is {
	case "events":
		return notify.CheckEvents(c.Events)
	case "command":
		if err := notify.CheckCommand(c.Command); err != nil {
			return err
		}
		return owned.Check(c.Command[0])
	case "notify-url":
		return outbound.Check(c.URL, c.TokenFile != "")
	case "notify-kind":
		return notify.CheckKind(c.Kind)
	}
	return nil
}

// forgeConfig is agent.toml's section [forge]: which forge is told how this machine
// gets on with commits. None is without a kind.
type forgeConfig struct {
	Kind      string `toml:"kind" is:"forge"`
	URL       string `toml:"url"`
	Repo      string `toml:"repo"`
	TokenFile string `toml:"token_file" is:"path" holds:"secret"`
}

func (c forgeConfig) options(source string) forge.Options {
	return forge.Options{Kind: c.Kind, URL: c.URL, Repo: c.Repo, Source: source, TokenFile: c.TokenFile}
}

func (c forgeConfig) check(source string) error {
	if err := forge.CheckKind(c.Kind); err != nil {
		return err
	}
	return c.options(source).Check()
}

// Forge says which forge is told.
func (s Settings) Forge() forge.Options {
	o := s.Config.Forge.options(s.Repo)
	o.Proxy, o.CAFile = s.proxies(), s.CAFile
	return o
}
