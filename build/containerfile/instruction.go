package containerfile

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

func strconvQuote(s string) string { return strconv.Quote(short(s)) }

// Args returns the words after the keyword.
func (i Instruction) Args() []string {
	_, rest := cutWord(i.Joined)
	return strings.Fields(rest)
}

// cutFlags splits what follows the keyword into flags and the rest.
func (i Instruction) cutFlags() (flags []string, rest string) {
	_, rest = cutWord(i.Joined)
	for strings.HasPrefix(rest, "--") {
		f, after := cutWord(rest)
		rest = after
		if f == "--" {
			break
		}
		flags = append(flags, f)
	}
	return flags, rest
}

// A Flag is one of an instruction's, and where it is in its text.
type Flag struct {
	Text       string
	Start, End int
}

var flagGap = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:[ \t\r]|\\[ \t\r]*\n(?:[ \t\r]*(?:#[^\n]*)?\n)*)+`)
})

// Flags returns the words before an instruction's arguments that begin with
// two dashes.
func (i Instruction) Flags() (out []Flag) {
	at := len(i.Text) - len(strings.TrimLeftFunc(i.Text, unicode.IsSpace)) + len(i.Keyword)
	for at < len(i.Text) {
		at += len(flagGap().FindString(i.Text[at:]))
		if !strings.HasPrefix(i.Text[at:], "--") {
			break
		}
		end := at + strings.IndexAny(i.Text[at:]+"\n", " \t\r\n")
		out = append(out, Flag{i.Text[at:end], at, end})
		at = end
	}
	return out
}

// A From is a FROM instruction's parts.
type From struct {
	Flags []string
	Image string
	As    string // the stage's name, "" if it has none
}

// From returns the parts of a FROM in which Parse found no fault.
func (i Instruction) From() From {
	flags, rest := i.cutFlags()
	w := append(strings.Fields(rest), "", "", "")
	return From{flags, w[0], w[2]}
}

// Sources returns what a COPY or ADD takes from the context, and whether that
// can be said.
func (i Instruction) Sources() (names []string, known bool) {
	flags, rest := i.cutFlags()
	if slices.ContainsFunc(flags, func(f string) bool { return strings.HasPrefix(f, "--from=") }) {
		return nil, true
	}
	args, err := copied(rest)
	if err != nil || len(args) < 2 {
		return nil, false
	}
	for _, word := range args[:len(args)-1] {
		_, isHeredoc := parseHeredoc(word)
		switch {
		case strings.Contains(word, "://") || strings.HasPrefix(word, "git@") || isHeredoc:
		case strings.ContainsAny(word, `$\"'`):
			return nil, false
		default:
			names = append(names, word)
		}
	}
	return names, true
}
