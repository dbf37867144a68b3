package build

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// An instruction is one of a Containerfile. text is what was written, with
// its continuation lines and comments; joined is the same as one line without
// them.
type instruction struct {
	keyword string // upper case, "" for a comment or an empty line
	text    string
	joined  string
	line    int
}

// args returns the words after the keyword.
func (i instruction) args() []string {
	_, rest := cutWord(i.joined)
	return strings.Fields(rest)
}

var heredoc = regexp.MustCompile(`<<-?\s*["']?([A-Za-z_][A-Za-z0-9_]*)["']?`)

// parse splits a Containerfile into its instructions. It knows no more of the
// format than is needed to stack fragments: the engine checks the rest.
func parse(name, text string) ([]instruction, error) {
	lines := strings.SplitAfter(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	var out []instruction
	for n := 0; n < len(lines); {
		trimmed := strings.TrimSpace(lines[n])
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			if strings.HasPrefix(strings.ReplaceAll(strings.ToLower(trimmed), " ", ""), "#escape=`") {
				return nil, fmt.Errorf("%s:%d: %s: fragments share one escape character, the backslash; remove the directive", name, n+1, trimmed)
			}
			out = append(out, instruction{text: lines[n], line: n + 1})
			n++
			continue
		}
		in := instruction{line: n + 1}
		n = in.take(lines, n)
		word, _ := cutWord(in.joined)
		in.keyword = strings.ToUpper(word)
		out = append(out, in)
	}
	return out, nil
}

// take reads one instruction from lines[n:] and returns the next line's index.
func (i *instruction) take(lines []string, n int) int {
	for ; n < len(lines); n++ {
		trimmed := strings.TrimSpace(lines[n])
		i.text += lines[n]
		if i.joined != "" && (trimmed == "" || strings.HasPrefix(trimmed, "#")) {
			continue // comments may stand between continued lines
		}
		body, more := strings.CutSuffix(trimmed, `\`)
		i.joined += body
		if !more {
			n++
			break
		}
	}
	word, _ := cutWord(i.joined)
	if word = strings.ToUpper(word); word != "RUN" && word != "COPY" && word != "ADD" {
		return n
	}
	for _, end := range heredoc.FindAllStringSubmatch(i.joined, -1) {
		for n < len(lines) {
			line := lines[n]
			i.text += line
			n++
			if strings.TrimSpace(line) == end[1] {
				break
			}
		}
	}
	return n
}

func cutWord(s string) (word, rest string) {
	s = strings.TrimSpace(s)
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], strings.TrimSpace(s[i:])
	}
	return s, ""
}

// A from is a FROM instruction's parts.
type from struct {
	flags []string
	image string
	as    string
}

func parseFrom(i instruction) (from, error) {
	var f from
	words := i.args()
	for len(words) > 0 && strings.HasPrefix(words[0], "--") {
		f.flags, words = append(f.flags, words[0]), words[1:]
	}
	switch {
	case len(words) == 1:
		f.image = words[0]
	case len(words) == 3 && strings.EqualFold(words[1], "as"):
		f.image, f.as = words[0], words[2]
	default:
		return f, fmt.Errorf("%q: write FROM IMAGE, or FROM IMAGE AS NAME", strings.TrimSpace(i.text))
	}
	return f, nil
}

// sources returns what a COPY or ADD takes from the context, and whether that
// can be said.
func (i instruction) sources() (names []string, known bool) {
	_, rest := cutWord(i.joined)
	for strings.HasPrefix(rest, "--") {
		var flag string
		if flag, rest = cutWord(rest); strings.HasPrefix(flag, "--from=") {
			return nil, true
		}
	}
	words := strings.Fields(rest)
	if strings.HasPrefix(rest, "[") {
		words = nil
		if err := json.Unmarshal([]byte(rest), &words); err != nil {
			return nil, false
		}
	}
	if len(words) < 2 {
		return nil, false
	}
	for _, word := range words[:len(words)-1] {
		switch {
		case strings.Contains(word, "://") || strings.HasPrefix(word, "git@") || strings.HasPrefix(word, "<<"):
		case strings.ContainsAny(word, `$\"'`):
			return nil, false
		default:
			names = append(names, word)
		}
	}
	return names, true
}

// binds returns what the mounts of a RUN show of the context.
func (i instruction) binds() (names []string) {
	for _, f := range i.flags() {
		mount, ok := strings.CutPrefix(f.text, "--mount=")
		if !ok {
			continue
		}
		kind, source, other := "bind", ".", false
		for option := range strings.SplitSeq(strings.Trim(mount, `"'`), ",") {
			key, value, _ := strings.Cut(option, "=")
			switch key {
			case "type":
				kind = value
			case "source", "src":
				source = value
			case "from":
				other = true
			}
		}
		if kind == "bind" && !other {
			names = append(names, source)
		}
	}
	return names
}
