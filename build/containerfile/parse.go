// Package containerfile reads the instructions of a Containerfile and says
// what no engine would execute.
//
// The format is that of the Dockerfile reference
// (https://docs.docker.com/reference/dockerfile/). Where engines of different
// age differ, the newest is followed: an engine that cannot do what is written
// says so itself. Whether images, files and arguments exist is not looked at;
// that is for whoever knows them.
package containerfile

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"
)

// An Instruction is one of a Containerfile.
type Instruction struct {
	Keyword string // upper case, "" for a comment or an empty line
	// Text is what was written, with continuation lines, comments and
	// heredocs; Joined is the same as one line without them.
	Text, Joined string
	Line         int // from 1
	Heredocs     []Heredoc
}

// A Heredoc is a text that stands after the instruction which takes it.
type Heredoc struct {
	Name, Body string
	// Quoted ones are taken as they are: no variable is put in.
	Quoted bool
	// Tabbed ones lose the tabs that their lines begin with (<<-).
	Tabbed bool
}

// A Fault is something that keeps a Containerfile from being executed.
type Fault struct {
	Line          int
	Message, Hint string
}

func (f Fault) Error() string { return fmt.Sprintf("%d: %s; %s", f.Line, f.Message, f.Hint) }

// Parse splits a Containerfile into its instructions and checks each of them.
// The instructions' texts, one after the other, are the whole Containerfile,
// with lines that end with a newline alone.
func Parse(text string) ([]Instruction, []Fault) {
	text = strings.TrimPrefix(strings.ReplaceAll(text, "\r\n", "\n"), "\ufeff")
	p := &parser{lines: strings.SplitAfter(text, "\n")}
	p.directives()
	var out []Instruction
	for p.next < len(p.lines) {
		i := p.instruction()
		if i.Keyword != "" {
			p.check(i)
		}
		out = append(out, i)
	}
	return out, p.faults
}

type parser struct {
	lines  []string
	next   int
	faults []Fault
}

func (p *parser) fault(line int, hint, format string, args ...any) {
	p.faults = append(p.faults, Fault{line, fmt.Sprintf(format, args...), hint})
}

var directive = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(\S.*?)\s*$`) })

// directives looks at the comments above all else that mean something. One
// that sets the escape character would hold for its fragment alone, and
// fragments are put together.
func (p *parser) directives() {
	for n, line := range p.lines {
		m := directive().FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			return
		}
		if strings.EqualFold(m[1], "escape") && m[2] != `\` {
			p.fault(n+1, "remove the directive", "%s: fragments share one escape character, the backslash", strings.TrimSpace(line))
		}
	}
}

// instruction reads the instruction, comment or empty line that comes next.
func (p *parser) instruction() Instruction {
	i := Instruction{Line: p.next + 1}
	if blank(p.lines[p.next]) || comment(p.lines[p.next]) {
		i.Text = p.lines[p.next]
		p.next++
		return i
	}
	for more, first := true, true; more && p.next < len(p.lines); p.next++ {
		line := p.lines[p.next]
		i.Text += line
		if !first && (comment(line) || blank(line)) {
			continue // they may stand between continued lines
		}
		line = strings.TrimRight(line, "\r\n")
		if first {
			line = strings.TrimLeftFunc(line, unicode.IsSpace)
		}
		line, more = continued(line)
		i.Joined += line
		first = false
	}
	word, rest := cutWord(i.Joined)
	i.Keyword = strings.ToUpper(word)
	if word == "" {
		p.fault(i.Line, "remove it", "a backslash continues nothing")
	}
	taker := i.Keyword
	if taker == "ONBUILD" {
		word, _ = cutWord(rest)
		taker = strings.ToUpper(word)
	}
	if taker == "RUN" || taker == "COPY" || taker == "ADD" {
		p.heredocs(&i)
	}
	return i
}

func blank(line string) bool { return strings.TrimSpace(line) == "" }

func comment(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "#") }

// continued takes away the backslash that says that an instruction goes on in
// the next line. Two of them are a backslash.
func continued(line string) (string, bool) {
	body, ok := strings.CutSuffix(strings.TrimRight(line, " \t"), `\`)
	if !ok || strings.HasSuffix(body, `\`) {
		return line, false
	}
	return body, true
}

var (
	heredocWord = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\d*<<(-?)([^<]+)$`) })
	heredocMark = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\d*<<-?$`) }) // its word follows
)

// parseHeredoc tells whether a word announces a heredoc.
func parseHeredoc(word string) (Heredoc, bool) {
	m := heredocWord().FindStringSubmatch(word)
	if m == nil {
		return Heredoc{}, false
	}
	name := strings.NewReplacer(`"`, "", `'`, "").Replace(m[2])
	return Heredoc{Name: name, Quoted: name != m[2], Tabbed: m[1] != ""}, name != ""
}

// heredocs reads the texts that an instruction announces. Builders see none in
// a line whose quotes have no end.
func (p *parser) heredocs(i *Instruction) {
	if misquoted(i.Joined) != "" {
		return
	}
	all := words(i.Joined)
	for n := 0; n < len(all); n++ {
		word := all[n]
		if heredocMark().MatchString(word) && n+1 < len(all) {
			n++
			word += all[n]
		}
		h, ok := parseHeredoc(word)
		if !ok {
			continue
		}
		ended := false
		for !ended && p.next < len(p.lines) {
			line := p.lines[p.next]
			i.Text += line
			p.next++
			end := strings.TrimRight(line, "\r\n")
			if h.Tabbed {
				end = strings.TrimLeft(end, "\t")
			}
			if ended = end == h.Name; !ended {
				h.Body += line
			}
		}
		if !ended {
			p.fault(i.Line, fmt.Sprintf("end it with a line that is %s alone", h.Name), "its heredoc <<%s has no end", h.Name)
		}
		i.Heredocs = append(i.Heredocs, h)
	}
}
