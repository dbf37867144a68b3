package kind

import (
	"slices"
	"strings"

	"github.com/gitboot/gitboot/hooks/check"
)

// Locale writes the system's locale settings, see locale.conf(5).
type Locale struct {
	Lang string   `key:"lang" is:"template" required:"true" doc:"The language, such as de_DE.UTF-8 or C.UTF-8."`
	Set  []string `key:"set" is:"template" doc:"What differs, as \"LC_TIME=en_GB.UTF-8\"."`
}

func (l *Locale) Help() Help {
	return Help{
		Summary: "set the system's language",
		Text: `Writes /etc/locale.conf, and /etc/default/locale where the image is a Debian. The
locale itself must be in the image (locale-gen in its build); C.UTF-8 always is.

lang  such as "de_DE.UTF-8"
set   what differs, such as "LC_TIME=en_GB.UTF-8"`,
	}
}

func (l *Locale) Paths(string) []string { return []string{"/etc/locale.conf"} }

func (l *Locale) Complete(Machine) {}

func (l *Locale) Check() (ps check.Problems) {
	ps.Add(l.Lang, wrongLocale(l.Lang), `write it as "locale -a" has it, such as "de_DE.UTF-8"`, "lang")
	known := []string{"LANG"}
	for i, line := range l.Set {
		name, value, _ := strings.Cut(line, "=")
		wrong := ""
		switch {
		case slices.Contains(known, name):
			wrong = "is set twice"
		case !slices.Contains(localeVariables(), name):
			wrong = "is no variable of locale.conf(5)"
		case name != "LANGUAGE":
			wrong = wrongLocale(value)
		case strings.ContainsFunc(value, func(c rune) bool { return c != ':' && notLocaleByte(c) }):
			wrong = "is no list of languages"
		}
		known = append(known, name)
		ps.Add(line, wrong, `write for example "LC_TIME=en_GB.UTF-8"`, "set", i)
	}
	return ps
}

func localeVariables() []string {
	return []string{
		"LANGUAGE", "LC_CTYPE", "LC_NUMERIC", "LC_TIME", "LC_COLLATE", "LC_MONETARY", "LC_MESSAGES",
		"LC_PAPER", "LC_NAME", "LC_ADDRESS", "LC_TELEPHONE", "LC_MEASUREMENT", "LC_IDENTIFICATION",
	}
}

func wrongLocale(name string) string {
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, notLocaleByte) {
		return "is no locale"
	}
	return ""
}

func notLocaleByte(c rune) bool {
	return !strings.ContainsRune("_.-@", c) && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
}
