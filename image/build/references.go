package build

import (
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/gitboot/gitboot/image"
)

// Images that steps name besides the base (FROM golang:1.26 AS made, COPY
// --from=busybox …) decide what comes of them. They are found while rendering,
// and pinned to digests before anything is executed, so that what is previewed
// is what runs. While a Containerfile is put together, each is a mark.
const mark = "\x00"

var marked = regexp.MustCompile(mark + `([0-9]+)` + mark)

// reference notes an image that a step names and returns its mark.
func (r *renderer) reference(name string) string {
	i := slices.Index(r.References, name)
	if i < 0 {
		i = len(r.References)
		r.References = append(r.References, name)
	}
	return mark + strconv.Itoa(i) + mark
}

// Pin puts digests to the images that steps name. Without one, an image stays
// as it is written.
func (p *Prepared) Pin(digests map[string]string) error {
	var wrong error
	p.Containerfile = marked.ReplaceAllFunc(p.template, func(m []byte) []byte {
		i, err := strconv.Atoi(strings.Trim(string(m), mark))
		if err != nil || i >= len(p.References) {
			return nil // load lets no mark in
		}
		ref := p.References[i]
		if digest := digests[ref]; digest != "" {
			if ref, err = image.Pinned(ref, digest); err != nil {
				wrong = err
			}
		}
		return []byte(ref)
	})
	p.digests = maps.Clone(digests)
	return wrong
}

// platformArgs are the arguments that every FROM may use.
func platformArgs(platform string) map[string]string {
	out := map[string]string{}
	put := func(prefix, platform string) {
		words := append(strings.SplitN(platform, "/", 3), "", "")
		out[prefix+"PLATFORM"], out[prefix+"OS"], out[prefix+"ARCH"], out[prefix+"VARIANT"] = platform, words[0], words[1], words[2]
	}
	own := "linux/" + runtime.GOARCH
	put("BUILD", own)
	if platform == "" {
		platform = own
	}
	put("TARGET", platform)
	return out
}

var variable = regexp.MustCompile(`\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+])([^{}]*))?\}|(.?))`)

// expand puts in the arguments that are known before a first FROM. What engines
// know beyond that is refused: it could not be previewed.
func (r *renderer) expand(text string) (string, error) {
	var wrong error
	out := variable.ReplaceAllStringFunc(text, func(found string) string {
		m := variable.FindStringSubmatch(found)
		name := m[1] + m[2]
		if name == "" {
			wrong = fmt.Errorf("%q: gitboot knows $NAME, ${NAME}, ${NAME:-default} and ${NAME:+instead} before an image is looked up; write it so", text)
			return ""
		}
		value, ok := r.args[name]
		set := ok && (value != "" || !strings.HasPrefix(m[3], ":"))
		switch {
		case strings.HasSuffix(m[3], "-") && !set:
			return m[4]
		case strings.HasSuffix(m[3], "+") && set:
			return m[4]
		case strings.HasSuffix(m[3], "+"):
			return ""
		case !ok:
			wrong = fmt.Errorf("%q: argument %s has no value here; write ARG %s=… before the first FROM, or set it in args", text, name, name)
		}
		return value
	})
	return out, wrong
}

// A flag is one of an instruction's, and where it is in its text.
type flag struct {
	text       string
	start, end int
}

var flagGap = regexp.MustCompile(`^(?:[ \t\r]|\\[ \t\r]*\n(?:[ \t\r]*(?:#[^\n]*)?\n)*)+`)

// flags returns the words before an instruction's arguments that begin with
// two dashes.
func (i instruction) flags() (out []flag) {
	at := len(i.text) - len(strings.TrimLeftFunc(i.text, unicode.IsSpace)) + len(i.keyword)
	for at < len(i.text) {
		at += len(flagGap.FindString(i.text[at:]))
		if !strings.HasPrefix(i.text[at:], "--") {
			break
		}
		end := at + strings.IndexAny(i.text[at:]+"\n", " \t\r\n")
		out = append(out, flag{i.text[at:end], at, end})
		at = end
	}
	return out
}

var fromOption = regexp.MustCompile(`(^--from=|^--mount=(?:.*,)?["']?from=)["']?([^,"']+)`)

// stages puts right what an instruction's flags take from other stages and
// from images.
func (r *renderer) stages(i instruction, names map[string]string) (string, error) {
	text := i.text
	for _, f := range slices.Backward(i.flags()) {
		at := fromOption.FindStringSubmatchIndex(f.text)
		if at == nil || i.keyword == "RUN" == strings.HasPrefix(f.text, "--from=") {
			continue
		}
		from, err := r.taken(f.text[at[4]:at[5]], names)
		if err != nil {
			return "", err
		}
		text = text[:f.start+at[4]] + from + text[f.start+at[5]:]
	}
	return text, nil
}

// taken is a stage's name as it is rendered, or an image's mark.
func (r *renderer) taken(from string, names map[string]string) (string, error) {
	if own := names[strings.ToLower(from)]; own != "" {
		return own, nil
	}
	if _, err := strconv.Atoi(from); err == nil {
		return "", fmt.Errorf("there is no stage %s before it in this fragment; name a stage, or an image", from)
	}
	if strings.Contains(from, "$") {
		return "", fmt.Errorf("from=%s: engines put no argument in here; write FROM %s AS a stage, and take it from that", from, from)
	}
	return r.reference(from), nil
}
