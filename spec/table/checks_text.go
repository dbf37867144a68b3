package table

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/internal/span"
	"github.com/gitboot/gitboot/internal/version"
	"github.com/gitboot/gitboot/schedule"
	"github.com/gitboot/gitboot/spec/find"
	"github.com/gitboot/gitboot/spec/render"
)

// maxRepository is what registries take, 255, less the library/ that Docker Hub
// puts before a single name.
const maxRepository = 255 - len("library/")

// badRef finds what the pattern of a reference cannot say. The registry is what
// is before the first slash, if it looks like a host.
func badRef(s string) string {
	path, _, _ := strings.Cut(s, "@")
	if host, rest, ok := strings.Cut(path, "/"); ok && (host == "localhost" || strings.ContainsAny(host, ".:")) {
		if wrong := badPort(host); wrong != "" {
			return wrong
		}
		path = rest
	}
	path, tag, _ := strings.Cut(path, ":")
	if len(path) > maxRepository {
		return fmt.Sprintf("has a repository that is longer than %d characters", maxRepository)
	}
	if !version.IsConstraint(tag) {
		return ""
	}
	if _, err := version.Parse(tag); err != nil {
		return "has neither a tag nor a constraint on versions such as ~12, ^1.4, 1.* or >=2,<4"
	}
	return ""
}

// badMemory finds what no kernel would start in, or no computer has.
func badMemory(s string) string {
	switch n, err := progress.ParseBytes(s); {
	case err != nil || n < 64e6:
		return "is less than 64MB"
	case n > 64e12:
		return "is more than 64TB"
	}
	return ""
}

func badMirror(s string) string {
	host, _, _ := strings.Cut(s, "/")
	if wrong := badPort(host); wrong != "" {
		return wrong
	}
	return ""
}

// badPort finds a port that there cannot be.
func badPort(host string) string {
	_, port, ok := strings.Cut(host, ":")
	if n, err := strconv.ParseUint(port, 10, 16); ok && (err != nil || n == 0) {
		return "has port " + port + ", which is not one of 1 to 65535"
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
	return ""
}

// badKeyFile finds what is neither a path in the repo nor a clean absolute one.
func badKeyFile(s string) string {
	if strings.HasPrefix(s, "/") {
		return uncleanPath(s)
	}
	return find.LeavesRepo(s)
}

func badInclude(s string) string {
	if wrong := find.LeavesRepo(s); wrong != "" {
		return wrong
	}
	return find.WrongGlob(s)
}

// Match is the globs' meaning outside include: * and ? match any character,
// / and : too.
func Match(glob, s string) bool {
	ok, err := path.Match(strings.ReplaceAll(glob, "/", "\x01"), strings.ReplaceAll(s, "/", "\x01"))
	return ok && err == nil
}

func badGlob(s string) string {
	if _, err := path.Match(s, ""); err != nil {
		return "is not a valid glob"
	}
	return ""
}

// badTag says why no tag can be called so (git-check-ref-format(1)).
func badTag(s string) string {
	switch {
	case strings.HasPrefix(s, "refs/"), strings.HasPrefix(s, "-"):
		return "is no tag's name"
	case strings.ContainsAny(s, "~^:\\"), strings.Contains(s, ".."), strings.Contains(s, "@{"), strings.Contains(s, "//"), strings.HasSuffix(s, "/"), strings.HasSuffix(s, "."):
		return "is what git allows no tag to be called"
	}
	return badGlob(s)
}

func badKernelArg(s string) string { return wrong(deployment.CheckArg(s)) }

// wrong is what an error says, "" without one.
func wrong(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func badCron(s string) string {
	_, err := schedule.Parse(s, time.UTC)
	return wrong(err)
}

func badZone(s string) string {
	_, err := schedule.Zone(s)
	return wrong(err)
}

func ourVariable(s string) string {
	if strings.HasPrefix(s, "GITBOOT_") {
		return "is a name that gitboot keeps for itself"
	}
	return ""
}

func badSpan(s string) string {
	switch d, err := span.Parse(s); {
	case err != nil:
		return "is not a length of time"
	case d < time.Minute:
		return "is less than a minute"
	case d > 366*24*time.Hour:
		return "is longer than a year"
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

func badSeconds(s string) string {
	if d, err := time.ParseDuration(s); err != nil || d > 24*time.Hour {
		return "is not a length of time up to a day"
	}
	return ""
}

func badHost(s string) string {
	_, err := deployment.ParseHost(s)
	return wrong(err)
}

func badUnit(s string) string { return wrong(deployment.CheckUnit(s)) }

func badCommand(s string) string {
	if strings.Count(s, `"`)%2 != 0 {
		return "has a double quote without its pair"
	}
	return wrong(deployment.CheckCommand(deployment.Fields(s)))
}

// badFolder refuses what means another folder than it says.
func badFolder(s string) string {
	if path.Clean(s) != s {
		return "is not written in the shortest way"
	}
	return ""
}

func badPlace(s string) string {
	_, err := deployment.ParseLocation(s)
	return wrong(err)
}

func badHTTP(s string) string {
	_, err := deployment.ParseURL(s)
	return wrong(err)
}

var url = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^https?://[^/\x00-\x20]+/[^\x00-\x20]+$`) })

// IsURL tells URLs from paths.
func IsURL(s string) bool { return strings.Contains(s, "://") }

// BadArchive returns what is wrong with an archive's path or URL, or "".
func BadArchive(s string) string {
	switch {
	case IsURL(s) && !url().MatchString(s):
		return "is not an http or https URL"
	case IsURL(s):
		return ""
	case strings.HasPrefix(s, "/"):
		return uncleanPath(s)
	}
	return find.LeavesRepo(s)
}

func badFrom(s string) string {
	if name, ok := strings.CutPrefix(s, "image:"); ok {
		message, _ := nameCheck.Text(name)
		return message
	}
	if archive, ok := strings.CutPrefix(s, "archive:"); ok {
		message, _ := archiveCheck.Text(archive)
		return message
	}
	message, _ := refCheck.Text(s)
	return message
}

// BadTemplate returns what is wrong with a template, or "".
func BadTemplate(s string) string {
	if err := render.Check(s); err != nil {
		return "is not a valid template: " + err.Error()
	}
	return ""
}
