package kind

import (
	"strings"

	"github.com/gitboot/gitboot/hooks/check"
)

// Timezone writes /etc/localtime, see localtime(5).
type Timezone struct {
	Zone string `key:"zone" is:"template" required:"true" doc:"A name of the tz database, such as Europe/Berlin."`
}

func (z *Timezone) Help() Help {
	return Help{
		Summary: "set the time zone",
		Text: `Makes /etc/localtime a link into the image's /usr/share/zoneinfo, and writes the
name to /etc/timezone where the image has one. An image with the tz database must
have this zone in it (package tzdata).

zone  such as "Europe/Berlin" or "UTC"`,
	}
}

func (z *Timezone) Paths(string) []string { return []string{"/etc/localtime"} }

func (z *Timezone) Complete(Machine) {}

func (z *Timezone) Check() (ps check.Problems) {
	ps.Add(z.Zone, wrongZone(z.Zone), `write a name of the tz database, such as "Europe/Berlin"`, "zone")
	return ps
}

// wrongZone follows the file "theory.html" of the tz database: names of
// letters, digits, -, + and _, with / between.
func wrongZone(zone string) string {
	bad := func(c rune) bool {
		return !strings.ContainsRune("_-+", c) && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}
	for part := range strings.SplitSeq(zone, "/") {
		if part == "" || len(part) > 64 || strings.ContainsFunc(part, bad) {
			return "is no time zone"
		}
	}
	return ""
}
