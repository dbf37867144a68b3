package hooks

import (
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
)

func (r *renderer) resolvConf(hook string, c *kind.ResolvConf) error {
	const p = "/etc/resolv.conf"
	if c.Link != "" {
		return r.files(hook, []kind.File{{Path: p, Link: c.Link}})
	}
	var b strings.Builder
	b.WriteString(generated(hook))
	for _, server := range c.Nameservers {
		b.WriteString("nameserver " + server + "\n")
	}
	for _, list := range []struct {
		key   string
		words []string
	}{{"search", c.Search}, {"options", c.Options}} {
		if len(list.words) > 0 {
			b.WriteString(list.key + " " + strings.Join(list.words, " ") + "\n")
		}
	}
	return r.text(hook, p, b.String())
}
