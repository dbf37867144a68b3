package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"regexp"
	"strings"
	"text/template"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/robfig/cron/v3"
)

func tooLong(s string, limit int) string {
	if len(s) > limit {
		return fmt.Sprintf("is longer than %d characters", limit)
	}
	return ""
}

func longRef(s string) string { return tooLong(s, 512) }

func leavesRepo(s string) string {
	clean := path.Clean(s)
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "leaves the repo"
	}
	if !fs.ValidPath(clean) || strings.Contains(s, `\`) {
		return "is not a path in the repo"
	}
	return ""
}

func uncleanPath(s string) string {
	switch {
	case path.Clean(s) != s:
		return fmt.Sprintf("is not a clean path; that would be %q", path.Clean(s))
	case s == "/":
		return "is the root folder"
	}
	return tooLong(s, 1024)
}

func badInclude(s string) string {
	if wrong := leavesRepo(s); wrong != "" {
		return wrong
	}
	if !doublestar.ValidatePattern(s) {
		return "is not a valid glob"
	}
	return tooLong(s, 256)
}

// match is the globs' meaning outside include: * and ? match any character,
// / and : too.
func match(glob, s string) bool {
	ok, err := path.Match(strings.ReplaceAll(glob, "/", "\x01"), strings.ReplaceAll(s, "/", "\x01"))
	return ok && err == nil
}

func badGlob(s string) string {
	if _, err := path.Match(s, ""); err != nil {
		return "is not a valid glob"
	}
	return tooLong(s, 256)
}

// badKernelArg holds back what would change the meaning of the arguments
// around it. The kernel splits its command line at white space outside double
// quotes; what follows a bare -- is for init alone.
func badKernelArg(s string) string {
	switch key, _, _ := strings.Cut(s, "="); {
	case strings.Count(s, `"`)%2 != 0:
		return "has a double quote without its pair"
	case len(strings.FieldsFunc(s, outsideQuotes())) != 1 || strings.TrimSpace(s) != s:
		return "is more than one argument"
	case strings.ContainsAny(unquoted(s), `"'\\`):
		return "has a quote or backslash that boot loaders do not pass on unchanged"
	case s == "--":
		return "would hide gitboot's own arguments from it"
	case key == "gitboot.stage" || key == "gitboot.deployment" || key == "gitboot.trying":
		return "is set by gitboot itself"
	}
	return tooLong(s, 1024)
}

// unquoted takes away the one pair of quotes that may enclose an argument or
// its value.
func unquoted(arg string) string {
	key, value, ok := strings.Cut(arg, "=")
	if !ok || strings.Contains(key, `"`) {
		key, value = "", arg
	}
	if len(value) > 1 && strings.HasPrefix(value, `"`) && strings.HasSuffix(value, `"`) {
		value = value[1 : len(value)-1]
	}
	return key + value
}

func outsideQuotes() func(rune) bool {
	quoted := false
	return func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return !quoted && (r == ' ' || r == '\t')
	}
}

// badCron refuses what robfig/cron accepts but should not: a time zone
// without fields panics, a negative @every fires at once for ever, and an
// impossible date never fires.
func badCron(s string) string {
	if strings.Contains(s, "TZ=") {
		return "names a time zone"
	}
	schedule, err := cron.ParseStandard(s)
	if err != nil {
		return "is not a schedule: " + err.Error()
	}
	if every, ok := strings.CutPrefix(s, "@every "); ok {
		if d, err := time.ParseDuration(every); err != nil || d < time.Minute {
			return "is more often than every minute"
		}
	}
	if schedule.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return "never comes"
	}
	return ""
}

func ourVariable(s string) string {
	if strings.HasPrefix(s, "GITBOOT_") {
		return "is a name that gitboot keeps for itself"
	}
	return ""
}

func badDuration(s string) string {
	switch d, err := time.ParseDuration(s); {
	case err != nil:
		return "is not a duration"
	case d < time.Millisecond:
		return "is no time at all"
	case d > 7*24*time.Hour:
		return "is longer than a week"
	}
	return ""
}

var url = regexp.MustCompile(`^https?://[^/\x00-\x20]+/[^\x00-\x20]+$`)

func isURL(s string) bool { return strings.Contains(s, "://") }

func badArchive(s string) string {
	switch {
	case isURL(s) && !url.MatchString(s):
		return "is not an http or https URL"
	case isURL(s):
		return tooLong(s, 2048)
	case strings.HasPrefix(s, "/"):
		return uncleanPath(s)
	}
	return leavesRepo(s)
}

func badFrom(s string) string {
	if name, ok := strings.CutPrefix(s, "image:"); ok {
		message, _ := nameCheck.text(name)
		return message
	}
	if archive, ok := strings.CutPrefix(s, "archive:"); ok {
		message, _ := archiveCheck.text(archive)
		return message
	}
	message, _ := refCheck.text(s)
	return message
}

func badTemplate(s string) string {
	if _, err := parseTemplate(s); err != nil {
		return "is not a valid template: " + err.Error()
	}
	return ""
}

func parseTemplate(s string) (*template.Template, error) {
	t, err := template.New("t").Option("missingkey=error").Parse(s)
	if err != nil {
		return nil, errors.New(strings.Replace(err.Error(), "template: t:", "line ", 1))
	}
	return t, nil
}

// publicKey finds the key in a line of authorized_keys(5), whatever options
// come before it.
var publicKey = regexp.MustCompile(`(?:^|[\s,])(?:sk-)?(?:ssh|ecdsa)-[A-Za-z0-9@.-]+\s+[A-Za-z0-9+/]{40,}={0,3}(?:\s|$)`)

func badPublicKey(s string) string {
	switch {
	case strings.Contains(s, "PRIVATE KEY"):
		return "is a private key, which belongs in no repo: make a new one"
	case !publicKey.MatchString(s):
		return "is not a public key"
	}
	return ""
}

func badIP(s string) string {
	if _, err := netip.ParseAddr(s); err != nil {
		return "is not an address"
	}
	return ""
}
