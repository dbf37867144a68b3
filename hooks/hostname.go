package hooks

import (
	"fmt"
	"strings"
)

var hostnameHelp = Help{
	Name:    "hostname",
	Summary: "write /etc/hostname and /etc/hosts",
	Text: `Writes the name to /etc/hostname, and an /etc/hosts in which it stands for
127.0.1.1, with the usual names of the loopback and IPv6 addresses.

name    the machine's name in the config if it is left out
domain  if given, name.domain is the full name in /etc/hosts`,
}

// maxHostname is HOST_NAME_MAX of Linux.
const maxHostname = 64

func (h *Hostname) render(r *renderer, hook string) error {
	name := orDefault(h.Name, r.in.Machine)
	if err := checkHostname(name); err != nil {
		return err
	}
	names, _, _ := strings.Cut(name, ".")
	full := name
	if h.Domain != "" {
		if err := checkDomain(h.Domain); err != nil {
			return fmt.Errorf("domain %q: %w", h.Domain, err)
		}
		full = name + "." + h.Domain
	}
	if full != names {
		names = full + "\t" + names
	}
	if err := r.text(hook, "/etc/hostname", name+"\n"); err != nil {
		return err
	}
	return r.text(hook, "/etc/hosts", generated(hook)+
		"127.0.0.1\tlocalhost\n"+
		"127.0.1.1\t"+names+"\n\n"+
		"::1\tlocalhost ip6-localhost ip6-loopback\n"+
		"ff02::1\tip6-allnodes\n"+
		"ff02::2\tip6-allrouters\n")
}

func checkHostname(name string) error {
	if len(name) > maxHostname {
		return fmt.Errorf("host name %q has %d bytes, Linux allows %d", name, len(name), maxHostname)
	}
	if err := checkDomain(name); err != nil {
		return fmt.Errorf("host name %q: %w", name, err)
	}
	return nil
}

// checkDomain follows RFC 1123, section 2.1.
func checkDomain(name string) error {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label {
			return fmt.Errorf("label %q is empty, longer than 63 bytes, or begins or ends with a hyphen", label)
		}
		for _, c := range label {
			if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				return fmt.Errorf("%q is not a letter, digit or hyphen; set hostname's name if the machine's name is not a host name", c)
			}
		}
	}
	return nil
}
