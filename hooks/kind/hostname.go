package kind

import (
	"cmp"

	"github.com/gitboot/gitboot/hooks/check"
)

// Hostname writes /etc/hostname and /etc/hosts.
type Hostname struct {
	// Name is the machine's name if it is empty.
	Name string `key:"name" is:"template" doc:"The host name; the machine's name if absent."`
	// Domain, if given, makes the full name Name.Domain.
	Domain string `key:"domain" is:"template" doc:"The domain, for /etc/hosts."`
}

func (h *Hostname) Help() Help {
	return Help{
		Summary: "write /etc/hostname and /etc/hosts",
		Text: `Writes the name to /etc/hostname, and an /etc/hosts in which it stands for
127.0.1.1, with the usual names of the loopback and IPv6 addresses.

name    the machine's name in the config if it is left out
domain  if given, name.domain is the full name in /etc/hosts`,
	}
}

// maxHostname is HOST_NAME_MAX of Linux, maxDomain that of RFC 1035.
const (
	maxHostname = 64
	maxDomain   = 253
)

func (h *Hostname) Paths(string) []string { return []string{"/etc/hostname", "/etc/hosts"} }

func (h *Hostname) Complete(m Machine) { h.Name = cmp.Or(h.Name, m.Name) }

func (h *Hostname) Check() (ps check.Problems) {
	if h.Name != "" {
		ps.Add(h.Name, check.NotDomain(h.Name, maxHostname), "use up to 64 letters, digits and -, with dots between; if it is the machine's name, give the hook a name of its own", "name")
	}
	if h.Domain != "" {
		ps.Add(h.Domain, check.NotDomain(h.Domain, maxDomain), "use letters, digits and -, with dots between", "domain")
	}
	return ps
}
