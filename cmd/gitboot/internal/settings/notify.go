package settings

import (
	"cmp"

	"github.com/gitboot/gitboot/agent/notify"
	"github.com/gitboot/gitboot/agent/outbound"
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
func (c notifyConfig) wrong(is string, safe func(path string) error) error {
	switch is {
	case "events":
		return notify.CheckEvents(c.Events)
	case "command":
		if err := notify.CheckCommand(c.Command); err != nil {
			return err
		}
		return safe(c.Command[0])
	case "notify-url":
		return outbound.Check(c.URL, c.TokenFile != "")
	case "notify-kind":
		return notify.CheckKind(c.Kind)
	}
	return nil
}
