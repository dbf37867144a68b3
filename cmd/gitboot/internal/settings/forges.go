package settings

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/agent/forge"
	"github.com/gitboot/gitboot/reconciler/source"
)

// forgeConfig is agent.toml's section [forge], and each [forges.NAME]: which forge is
// told how this machine gets on with commits. None is without a kind.
type forgeConfig struct {
	Kind      string `toml:"kind" is:"forge"`
	URL       string `toml:"url"`
	Repo      string `toml:"repo"`
	TokenFile string `toml:"token_file" is:"path" holds:"secret"`
}

func (c forgeConfig) options(remotes []string) forge.Options {
	return forge.Options{Kind: c.Kind, URL: c.URL, Repo: c.Repo, Sources: remotes, TokenFile: c.TokenFile}
}

func (c forgeConfig) check(remotes []string) error {
	if err := forge.CheckKind(c.Kind); err != nil {
		return err
	}
	return c.options(remotes).Check()
}

// remotes are the config repo's addresses, in their order.
func (c Config) remotes() []string {
	if c.Repo == "" {
		return c.Repos
	}
	return append([]string{c.Repo}, c.Repos...)
}

// Forges are those that are told of a machine.
func (s Settings) Forges(machine string) (all []forge.Options) {
	sections := []forgeConfig{s.Config.Forge}
	for _, name := range slices.Sorted(maps.Keys(s.Config.Forges)) {
		sections = append(sections, s.Config.Forges[name])
	}
	for _, c := range sections {
		if c.Kind != "" {
			o := c.options(s.remotes())
			o.Machine, o.Proxy, o.CAFile = machine, s.proxies(), s.CAFile
			all = append(all, o)
		}
	}
	return all
}

// forge is the section that a key is of.
func (c Config) forge(key string) forgeConfig {
	if parts := strings.SplitN(key, ".", 2); parts[0] == "forges" {
		return c.Forges[parts[1][:strings.LastIndexByte(parts[1], '.')]]
	}
	return c.Forge
}

// tokenFiles is what keys of that table begin with.
const tokenFiles = "token_files."

// checkTokenHost says what is wrong with a host that a token is for: it is sent to
// nobody else, so that one which is never asked was meant for another.
func (c Config) checkTokenHost(host string) error {
	asked := func(remote string) bool { return source.Host(remote) == host }
	if !slices.ContainsFunc(c.remotes(), asked) && !slices.Contains(c.SubmoduleHosts, host) {
		return errors.New("is for a host that neither repo nor repos nor submodule_hosts name over https; write it as it stands there, with its port")
	}
	return nil
}
