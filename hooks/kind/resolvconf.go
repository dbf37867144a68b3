package kind

import (
	"net/netip"

	"github.com/gitboot/gitboot/hooks/check"
)

// ResolvConf writes /etc/resolv.conf, either a file or a link.
type ResolvConf struct {
	Nameservers []string `key:"nameservers" is:"ip" doc:"Addresses of name servers."`
	Search      []string `key:"search" is:"word" doc:"Domains to search."`
	Options     []string `key:"options" is:"word" doc:"Options of resolv.conf(5)."`
	Link        string   `key:"link" is:"link" doc:"Make it a symbolic link to this instead."`
}

func (c *ResolvConf) Help() Help {
	return Help{
		Summary: "write /etc/resolv.conf, or make it a link",
		Text: `Writes resolv.conf(5) in place of what the image has, a link or a file that its
build left behind.

nameservers  addresses, in order; most resolvers use the first three
search       domains
options      as "edns0" or "ndots:2"
link         instead of all these: where /etc/resolv.conf points to, such as
             /run/systemd/resolve/stub-resolv.conf`,
	}
}

func (c *ResolvConf) Paths(string) []string { return []string{"/etc/resolv.conf"} }

func (c *ResolvConf) Complete(Machine) {}

func (c *ResolvConf) Check() (ps check.Problems) {
	if c.Link != "" {
		ps.Add(c.Link, check.WrongTarget(c.Link), "write the path that the link points to", "link")
		if c.Nameservers != nil || c.Search != nil || c.Options != nil {
			ps.Add(c.Link, "is given beside content", "give only link, or only the others", "link")
		}
	}
	for i, server := range c.Nameservers {
		ps.Add(server, WrongAddress(server), "write an IPv4 or IPv6 address", "nameservers", i)
	}
	for i, word := range c.Search {
		ps.Add(word, check.NotWord(word), "write one domain an element", "search", i)
	}
	for i, word := range c.Options {
		ps.Add(word, check.NotWord(word), "write one option an element", "options", i)
	}
	return ps
}

// WrongAddress returns what keeps s from being an IP address, or "".
func WrongAddress(s string) string {
	if _, err := netip.ParseAddr(s); err != nil || check.NotWord(s) != "" {
		return "is not an address"
	}
	return ""
}
