package settings

import (
	"errors"

	"github.com/gitboot/gitboot/agent/lan"
	"github.com/gitboot/gitboot/agent/listen"
	"github.com/gitboot/gitboot/image"
)

// webhookConfig is agent.toml's section [webhook]: where forges and registries
// say that there is something new. It is off without an address.
type webhookConfig struct {
	Listen     string `toml:"listen" is:"webhook"`
	SecretFile string `toml:"secret_file" is:"path" holds:"secret"`
	TLSCert    string `toml:"tls_cert" is:"path" holds:"public"`
	TLSKey     string `toml:"tls_key" is:"path" holds:"secret"`
	Insecure   bool   `toml:"insecure"` // no TLS though others reach the address
}

// Options say where hooks are listened for.
func (c webhookConfig) Options() listen.Options {
	return listen.Options{Address: c.Listen, Cert: c.TLSCert, Key: c.TLSKey, Insecure: c.Insecure, Group: listen.Group}
}

func (c webhookConfig) check() error {
	if c.SecretFile == "" {
		return errors.New("lets in whoever knows a secret, and there is none; make one with `openssl rand -hex 32` and name its file with secret_file")
	}
	return c.Options().Check()
}

// metricsConfig is agent.toml's section [metrics]: where Prometheus finds figures,
// and others whether the agent is well. It is off without an address.
type metricsConfig struct {
	Listen   string `toml:"listen" is:"metrics"`
	TLSCert  string `toml:"tls_cert" is:"path" holds:"public"`
	TLSKey   string `toml:"tls_key" is:"path" holds:"secret"`
	Insecure bool   `toml:"insecure"`
}

// Options say where figures are asked for.
func (c metricsConfig) Options() listen.Options {
	return listen.Options{Address: c.Listen, Cert: c.TLSCert, Key: c.TLSKey, Insecure: c.Insecure, Group: listen.Group}
}

// serveConfig is agent.toml's section [serve]: where other machines fetch what this one
// has on its stage. It is off without an address.
type serveConfig struct {
	Listen   string `toml:"listen" is:"serve"`
	TLSCert  string `toml:"tls_cert" is:"path" holds:"public"`
	TLSKey   string `toml:"tls_key" is:"path" holds:"secret"`
	Insecure bool   `toml:"insecure"`
	Repo     bool   `toml:"repo"` // the config repo, too
}

// Options say where other machines are listened to.
func (c serveConfig) Options() listen.Options {
	return listen.Options{Address: c.Listen, Cert: c.TLSCert, Key: c.TLSKey, Insecure: c.Insecure, Group: listen.Group}
}

// peersOfLAN looks for other machines in the networks that this one is in.
const peersOfLAN = "lan"

func (s Settings) peers() *image.Peers {
	if s.Peers != peersOfLAN {
		return nil
	}
	return &image.Peers{Look: lan.Look}
}

// Announced reports whether other machines are to find this one where it serves them.
func (s Settings) Announced() bool { return s.Peers == peersOfLAN }

// pageConfig is agent.toml's section [page]: where people look at the agent in a
// browser. It is off without an address.
type pageConfig struct {
	Listen string `toml:"listen" is:"page"`
}

// Options say where the page is.
func (c pageConfig) Options() listen.Options {
	return listen.Options{Address: c.Listen, Local: true, Group: listen.Group}
}
