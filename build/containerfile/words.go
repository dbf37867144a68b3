package containerfile

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"sync"
	"unicode"
)

func cutWord(s string) (word, rest string) {
	s = strings.TrimSpace(s)
	if i := strings.IndexFunc(s, unicode.IsSpace); i >= 0 {
		return s[:i], strings.TrimSpace(s[i:])
	}
	return s, ""
}

// words splits at white space that no quotes enclose. Quotes and backslashes
// stay.
func words(s string) (out []string) {
	var word strings.Builder
	quote, escaped := rune(0), false
	for _, r := range s {
		switch {
		case escaped:
			escaped = false
		case r == '\\' && quote != '\'':
			escaped = true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case quote == 0 && unicode.IsSpace(r):
			if word.Len() > 0 {
				out = append(out, word.String())
				word.Reset()
			}
			continue
		}
		word.WriteRune(r)
	}
	if word.Len() > 0 {
		out = append(out, word.String())
	}
	return out
}

// errStrings says that a list holds something else than strings.
var errStrings = errors.New("only strings can be in a list, in double quotes")

// list reads the form of arguments that is a JSON array. What is none is no
// mistake: it is the other form.
func list(s string) (items []string, isList bool, err error) {
	if !strings.HasPrefix(s, "[") {
		return nil, false, nil
	}
	var all []any
	if json.Unmarshal([]byte(s), &all) != nil {
		return nil, false, nil
	}
	for _, v := range all {
		text, ok := v.(string)
		if !ok {
			return nil, true, errStrings
		}
		items = append(items, text)
	}
	return items, true, nil
}

var variableName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?!$-])`) })

// misquoted says what is wrong with the quotes and variables of a word in
// which engines put in variables, or "".
func misquoted(s string) string {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '\'':
			end := strings.IndexByte(s[i+1:], '\'')
			if end < 0 {
				return "a single quote has no pair"
			}
			i += end + 1
		case '"':
			end := closing(s[i+1:], '"')
			if end < 0 {
				return "a double quote has no pair"
			}
			if wrong := misquotedVariables(s[i+1 : i+1+end]); wrong != "" {
				return wrong
			}
			i += end + 1
		case '$':
			if wrong := misquotedVariables(s[i:]); wrong != "" {
				return wrong
			}
		}
	}
	return ""
}

// closing returns where a character stands that no backslash escapes, or -1.
func closing(s string, c byte) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case c:
			return i
		}
	}
	return -1
}

func misquotedVariables(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
			continue
		}
		inner, braces := strings.CutPrefix(s[i:], "${")
		switch {
		case !braces:
		case closing(inner, '}') < 0:
			return `"${" has no "}"`
		case !variableName().MatchString(inner):
			return `"${" is not followed by a name`
		}
	}
	return ""
}
