package recipe

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/build/containerfile"
)

// Images that steps name besides the base (FROM golang:1.26 AS made, COPY
// --from=busybox …) decide what comes of them. They are found while rendering,
// and pinned to digests before anything is executed, so that what is previewed
// is what runs. While a Containerfile is put together, each is a mark.
const mark = "\x00"

var marked = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(mark + `([0-9]+)` + mark) })

func containsMark(data []byte) bool { return bytes.Contains(data, []byte(mark)) }

// reference notes an image that a step names and returns its mark.
func (r *renderer) reference(name string) (string, error) {
	i := slices.Index(r.References, name)
	if i < 0 {
		i = len(r.References)
		r.References = append(r.References, name)
	}
	var err error
	if r.read.reference != nil {
		if wrong, hint := r.read.reference(name); wrong != "" {
			err = refuse(hint, "%q %s", name, wrong)
		}
	}
	return mark + strconv.Itoa(i) + mark, err
}

// Pin puts digests to the images that steps name; pinned writes a reference
// with its digest. Without one, an image stays as it is written.
func (p *Prepared) Pin(digests map[string]string, pinned func(ref, digest string) (string, error)) error {
	var wrong error
	p.Containerfile = marked().ReplaceAllFunc(p.template, func(m []byte) []byte {
		i, err := strconv.Atoi(strings.Trim(string(m), mark))
		if err != nil || i >= len(p.References) {
			return nil // reader lets no mark in
		}
		ref := p.References[i]
		if digest := digests[ref]; digest != "" {
			if ref, err = pinned(ref, digest); err != nil {
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

var variable = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+])([^{}]*))?\}|(.?))`)
})

// expand puts in the arguments that are known before a first FROM. What engines
// know beyond that is refused: it could not be previewed.
func (r *renderer) expand(text string) (string, error) {
	var wrong error
	out := variable().ReplaceAllStringFunc(text, func(found string) string {
		m := variable().FindStringSubmatch(found)
		name := m[1] + m[2]
		if name == "" {
			wrong = refuse("write it so", "%q: gitboot knows $NAME, ${NAME}, ${NAME:-default} and ${NAME:+instead} before an image is looked up", text)
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
			wrong = refuse(fmt.Sprintf("write ARG %s=… before the first FROM, or set it in args", name), "%q: argument %s has no value here", text, name)
		}
		return value
	})
	return out, wrong
}

var fromOption = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(^--from=|^--mount=(?:.*,)?["']?from=)["']?([^,"']+)`)
})

// stages puts right what an instruction's flags take from other stages and
// from images.
func (r *renderer) stages(i containerfile.Instruction, stages map[string]*stage) (string, error) {
	text := i.Text
	for _, f := range slices.Backward(i.Flags()) {
		at := fromOption().FindStringSubmatchIndex(f.Text)
		if at == nil || i.Keyword == "RUN" == strings.HasPrefix(f.Text, "--from=") {
			continue
		}
		from, err := r.taken(f.Text[at[4]:at[5]], stages)
		if err != nil {
			return "", err
		}
		text = text[:f.Start+at[4]] + from + text[f.Start+at[5]:]
	}
	return text, nil
}

// taken is a stage's name as it is rendered, or an image's mark.
func (r *renderer) taken(from string, stages map[string]*stage) (string, error) {
	if own := stages[strings.ToLower(from)]; own != nil {
		return own.name, nil
	}
	if _, err := strconv.Atoi(from); err == nil {
		return "", refuse("name a stage, or an image", "there is no stage %s before it in this fragment", from)
	}
	if strings.Contains(from, "$") {
		return "", refuse(fmt.Sprintf("write FROM %s AS a stage, and take it from that", from), "from=%s: engines put no argument in here", from)
	}
	return r.reference(from)
}
