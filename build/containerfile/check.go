package containerfile

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A grammar is what one instruction may be.
type grammar struct {
	// flags are those with a value, switches those that are on or off.
	flags, switches []string
	// check finds what is wrong with the arguments, flags taken away, and says
	// how they should be; both "" if nothing is.
	check func(rest string, i Instruction) (wrong, hint string)
	// words says that engines put variables into the arguments.
	words bool
}

// grammars is never written to.
var grammars = map[string]grammar{
	"ADD":         {flags: []string{"chown", "chmod", "checksum", "exclude"}, switches: []string{"link", "keep-git-dir", "unpack"}, check: checkCopy, words: true},
	"ARG":         {check: checkArg, words: true},
	"CMD":         {check: checkCommand},
	"COPY":        {flags: []string{"chown", "chmod", "from", "exclude"}, switches: []string{"link", "parents"}, check: checkCopy, words: true},
	"ENTRYPOINT":  {check: checkCommand},
	"ENV":         {check: checkPairs, words: true},
	"EXPOSE":      {check: checkSome, words: true},
	"FROM":        {flags: []string{"platform"}, check: checkFrom},
	"HEALTHCHECK": {flags: []string{"interval", "timeout", "start-period", "start-interval", "retries"}, check: checkHealth},
	"LABEL":       {check: checkPairs, words: true},
	"MAINTAINER":  {check: checkSome},
	"RUN":         {flags: []string{"mount", "network", "security", "device"}, check: checkRun},
	"SHELL":       {check: checkShell},
	"STOPSIGNAL":  {check: checkSome, words: true},
	"USER":        {check: checkSome, words: true},
	"VOLUME":      {check: checkVolume, words: true},
	"WORKDIR":     {check: checkSome, words: true},
}

// check notes what is wrong with one instruction.
func (p *parser) check(i Instruction) {
	if i.Keyword == "ONBUILD" {
		p.onBuild(i)
		return
	}
	g, known := grammars[i.Keyword]
	if !known {
		p.fault(i.Line, "correct it; a line that belongs to the one before needs a backslash at the end of that", "%q is no instruction", short(i.Keyword))
		return
	}
	flags, rest := i.cutFlags()
	for _, f := range flags {
		if wrong, hint := g.checkFlag(f); wrong != "" {
			p.fault(i.Line, hint, "%s %s", i.Keyword, wrong)
		}
		if wrong, hint := checkMount(f); i.Keyword == "RUN" && wrong != "" {
			p.fault(i.Line, hint, "%s: %s", short(f), wrong)
		}
	}
	if wrong, hint := g.check(rest, i); wrong != "" {
		p.fault(i.Line, hint, "%s %s", i.Keyword, wrong)
	} else if wrong := misquoted(rest); g.words && len(i.Heredocs) == 0 && wrong != "" {
		p.fault(i.Line, "complete it, or put a backslash before it", "%s: %s", i.Keyword, wrong)
	}
}

func (g grammar) checkFlag(flag string) (wrong, hint string) {
	name, value, given := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
	switch {
	case slices.Contains(g.flags, name) && !given:
		return "has --" + name + " without a value", "write --" + name + "=VALUE"
	case slices.Contains(g.switches, name) && given && !slices.Contains([]string{"true", "false"}, strings.ToLower(value)):
		return "has --" + short(flag[2:]) + ", which is neither true nor false", "write --" + name + ", or nothing"
	case slices.Contains(g.flags, name) || slices.Contains(g.switches, name):
		return "", ""
	}
	hint = "remove it"
	if all := slices.Concat(g.flags, g.switches); len(all) > 0 {
		hint = "it has --" + strings.Join(all, ", --")
	}
	return "has no flag --" + short(name), hint
}

// onBuild checks what is done later, when another image is built from this one.
func (p *parser) onBuild(i Instruction) {
	_, rest := cutWord(i.Joined)
	inner := Instruction{Joined: rest, Text: rest, Line: i.Line, Heredocs: i.Heredocs}
	word, _ := cutWord(rest)
	inner.Keyword = strings.ToUpper(word)
	if slices.Contains([]string{"", "ONBUILD", "MAINTAINER", "FROM"}, inner.Keyword) {
		p.fault(i.Line, "write another instruction after it", "ONBUILD cannot do %q", inner.Keyword)
		return
	}
	p.check(inner)
}

func short(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

func checkSome(rest string, _ Instruction) (wrong, hint string) {
	if rest == "" {
		return "has nothing after it", "write what it is to set"
	}
	return "", ""
}

var stageName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9_.-]*$`) })

func checkFrom(rest string, _ Instruction) (wrong, hint string) {
	const form = "write FROM IMAGE, or FROM IMAGE AS NAME"
	w := strings.Fields(rest)
	switch {
	case len(w) == 1:
		return "", ""
	case len(w) != 3 || !strings.EqualFold(w[1], "as"):
		return "has " + strconvQuote(rest) + " after it", form
	case !stageName().MatchString(strings.ToLower(w[2])):
		return "cannot name a stage " + strconvQuote(w[2]), "begin a stage's name with a letter, and use letters, digits, _, - and dots"
	}
	return "", ""
}

func checkRun(rest string, i Instruction) (wrong, hint string) {
	if rest == "" && len(i.Heredocs) == 0 {
		return "has no command", "write one after it"
	}
	return checkCommand(rest, i)
}

func checkCommand(rest string, _ Instruction) (wrong, hint string) {
	if _, _, err := list(rest); err != nil {
		return "has a list that is no command: " + err.Error(), "put each element into double quotes"
	}
	return "", ""
}

func checkShell(rest string, _ Instruction) (wrong, hint string) {
	if items, _, err := list(rest); err != nil || len(items) == 0 {
		return "has no list of words after it", `write for example SHELL ["/bin/bash", "-c"]`
	}
	return "", ""
}

func checkVolume(rest string, _ Instruction) (wrong, hint string) {
	items, isList, err := list(rest)
	if !isList {
		items = strings.Fields(rest)
	}
	if err != nil || len(items) == 0 || slices.ContainsFunc(items, blank) {
		return "has no folder after it", "write a path after it"
	}
	return "", ""
}

func checkArg(rest string, _ Instruction) (wrong, hint string) {
	all := words(rest)
	if len(all) == 0 || slices.ContainsFunc(all, func(w string) bool { return strings.HasPrefix(w, "=") }) {
		return "names no argument", "write ARG NAME, or ARG NAME=DEFAULT"
	}
	return "", ""
}

func checkPairs(rest string, _ Instruction) (wrong, hint string) {
	const form = "write NAME=VALUE, with quotes around white space"
	all := words(rest)
	switch {
	case len(all) == 0:
		return "has nothing after it", form
	case !strings.Contains(all[0], "="):
		if _, value := cutWord(rest); value == "" {
			return "gives " + strconvQuote(all[0]) + " no value", form
		}
		return "", "" // the older form, NAME VALUE
	}
	for _, w := range all {
		if name, _, ok := strings.Cut(w, "="); !ok || name == "" {
			return "has " + strconvQuote(w) + " after it, which is no NAME=VALUE", form
		}
	}
	return "", ""
}

func checkHealth(rest string, _ Instruction) (wrong, hint string) {
	kind, command := cutWord(rest)
	switch strings.ToUpper(kind) {
	case "NONE":
		if command == "" {
			return "", ""
		}
	case "CMD":
		if items, isList, err := list(command); err == nil && (len(items) > 0 || !isList && command != "") {
			return "", ""
		}
	}
	return "has no command", "write HEALTHCHECK CMD COMMAND, or HEALTHCHECK NONE"
}

func checkCopy(rest string, _ Instruction) (wrong, hint string) {
	args, err := copied(rest)
	switch {
	case err != nil:
		return "has a list that names no files: " + err.Error(), "put each path into double quotes"
	case len(args) < 2:
		return "says not what goes where", "write one or more sources, and then where they go"
	}
	if _, ok := parseHeredoc(args[len(args)-1]); ok {
		return "says not where its heredoc goes", "write the path after it"
	}
	return "", ""
}

// copied returns the sources and the destination of a COPY or ADD.
func copied(rest string) ([]string, error) {
	if items, isList, err := list(rest); isList {
		return items, err
	}
	return strings.Fields(rest), nil
}
