package render

import (
	"fmt"
	"strconv"
	"strings"
	"text/template"
)

// A counter is one execution of a template.
type counter struct {
	spend func(int) error
	ended error // what spend said
	calls int
	out   strings.Builder
	// secretive templates may print secrets.
	secretive bool
	secrets   []Secret
}

// named is a secret in a template. Nothing can be made of it: what it holds is
// not known when templates are executed.
type named struct{ secret string }

// functions replace those of text/template that make text.
func (c *counter) functions() template.FuncMap {
	of := func(escape func(...any) string) func(...any) (string, error) {
		return func(args ...any) (string, error) {
			text, err := c.print(args...)
			if err != nil {
				return "", err
			}
			return escape(text), c.text(6 * len(text))
		}
	}
	return template.FuncMap{
		"print":    c.print,
		"println":  func(args ...any) (string, error) { return c.format(size(args)+len(args)+1, args, fmt.Sprintln) },
		"printf":   c.printf,
		"html":     of(template.HTMLEscaper),
		"js":       of(template.JSEscaper),
		"urlquery": of(template.URLQueryEscaper),
		"secret":   func(name string) named { return named{name} },
	}
}

// inserted are the functions that rewrite puts into a template.
func (c *counter) inserted() template.FuncMap {
	return template.FuncMap{
		entered: c.enter,
		left:    func() string { c.calls--; return "" },
		looped:  func() (string, error) { return "", c.pay(1) },
		looked: func(v any) (any, error) {
			n, _ := v.(map[string]any)
			return v, c.pay(len(n))
		},
		printed: c.shown,
		sized: func(v any) (any, error) {
			s, _ := v.(string)
			return v, c.pay(len(s) / perUnit)
		},
	}
}

func (c *counter) pay(units int) error {
	if c.ended == nil {
		c.ended = c.spend(1 + units)
	}
	return c.ended
}

// text pays for text before it is made.
func (c *counter) text(bytes int) error {
	if bytes > maxText {
		return tooMuchText()
	}
	return c.pay(bytes / perUnit)
}

func tooMuchText() error {
	return &Error{What: fmt.Sprintf("it makes more than %d MiB of text", maxText>>20)}
}

func (c *counter) enter() (string, error) {
	if c.calls++; c.calls > maxCalls {
		return "", &Error{What: fmt.Sprintf("templates call one another more than %d deep", maxCalls)}
	}
	return "", c.pay(4)
}

// Write takes what is printed.
func (c *counter) Write(p []byte) (int, error) {
	if c.out.Len()+len(p) > maxText {
		return 0, tooMuchText()
	}
	if len(p) > 0 {
		if err := c.pay(len(p) / perUnit); err != nil {
			return 0, err
		}
	}
	return c.out.Write(p)
}

// shown is what every action prints.
func (c *counter) shown(v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, missing()
	case string:
		return v, nil
	case named:
		return "", c.insert(v.secret)
	}
	return c.print(v)
}

func (c *counter) insert(secret string) error {
	if !c.secretive {
		return &Error{What: "a secret can only be put into a file"}
	}
	c.secrets = append(c.secrets, Secret{secret, c.out.Len()})
	return c.pay(4 + len(secret)/perUnit)
}

func missing() error { return &Error{What: "it prints a variable that is not set", Missing: "?"} }

func (c *counter) print(args ...any) (string, error) {
	return c.format(size(args)+len(args), args, fmt.Sprint)
}

func (c *counter) format(bytes int, args []any, with func(...any) string) (string, error) {
	for _, v := range args {
		switch v.(type) {
		case nil:
			return "", missing()
		case named:
			return "", &Error{What: "a secret can only be printed as it is: {{ secret \"NAME\" }}"}
		}
	}
	if err := c.text(bytes); err != nil {
		return "", err
	}
	return with(args...), nil
}

// printf counts the most that a format can make of its arguments: quoting
// makes at most 6 bytes of one and Go's syntax 12, and a width holds for each
// element of an argument. An address is not printed, as it is another one each
// time.
func (c *counter) printf(format string, args ...any) (string, error) {
	verbs, width, repeated := 0, 0, false
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		verbs++
		for i++; i < len(format) && strings.IndexByte("+-# 0123456789.*[]", format[i]) >= 0; i++ {
			switch digits := leading(format[i:]); {
			case digits != "":
				n, err := strconv.Atoi(digits)
				if err != nil || n > maxText {
					return "", tooMuchText()
				}
				width += n
				i += len(digits) - 1
			case format[i] == '*':
				width += widest(args)
			case format[i] == '[':
				repeated = true
			}
		}
		if i < len(format) && format[i] == 'p' {
			return "", &Error{What: "%p would print an address, which is another one each time"}
		}
	}
	bytes := 12 * size(args)
	if repeated {
		bytes *= max(verbs, 1)
	}
	if width > maxText {
		return "", tooMuchText()
	}
	return c.format(len(format)+bytes+width*max(1, leaves(args)), args, func(args ...any) string { return fmt.Sprintf(format, args...) })
}

func leading(s string) string {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	return s[:end]
}

// widest is the largest number among arguments, as * takes it.
func widest(args []any) int {
	most := 0
	for _, v := range args {
		switch v := v.(type) {
		case int:
			most = max(most, v, -v)
		case int64:
			most = max(most, int(v), -int(v))
		}
	}
	return min(most, maxText)
}

// size is the most that fmt.Sprint makes of a value, in bytes.
func size(v any) int {
	n := 32
	switch v := v.(type) {
	case string:
		return len(v)
	case []any:
		for _, e := range v {
			n += size(e)
		}
	case map[string]any:
		for k, e := range v {
			n += len(k) + 32 + size(e)
		}
	}
	return n
}

// leaves counts what in a value is printed apart.
func leaves(v any) int {
	n := 1
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			n += leaves(e)
		}
	case map[string]any:
		for _, e := range v {
			n += 1 + leaves(e)
		}
	}
	return n
}
