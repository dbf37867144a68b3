package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/owned"
	"github.com/gitboot/gitboot/spec"
)

// read reads path. The default file may be missing; a named one may not. All
// that is wrong with it is said at once.
func read(path string, named bool) (Config, error) {
	var c Config
	if err := owned.Check(path); err != nil {
		return c, usage.Errorf("read %s: %w", path, err)
	}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		return c, nil
	case err != nil:
		return c, usage.Errorf("read %s: %w", path, err)
	}
	c, problems, err := decode(path, string(data), owned.Check)
	switch {
	case err != nil:
		return c, usage.Errorf("read %s: %w", path, err)
	case len(problems) > 0:
		return c, &usage.Error{Err: errors.New(problems.Error())}
	}
	return c, nil
}

func decode(file, text string, safe func(path string) error) (c Config, problems spec.Problems, err error) {
	meta, err := toml.Decode(text, &c)
	if err == nil {
		problems = check(c, meta.Undecoded(), file, text, safe)
	}
	return c, problems, err
}

// Wrong says what is wrong with an agent.toml that is to be another machine's, each
// with its line.
func Wrong(text string) (wrong []string) {
	_, problems, err := decode("", text, func(string) error { return nil })
	if err != nil {
		return []string{err.Error()}
	}
	for _, p := range problems {
		line := p.Line
		p.File, p.Line = "line", 0
		wrong = append(wrong, strings.Replace(p.String(), "line:", fmt.Sprintf("line %d:", line), 1))
	}
	return wrong
}

// keys are those of agent.toml, as docs/agent.md explains them: those of a
// section after its name and a dot, NAME where that is the owner's choice.
func keys() []string { return keysOf("", reflect.TypeFor[Config]()) }

func keysOf(section string, t reflect.Type) (keys []string) {
	for f := range t.Fields() {
		key := section + f.Tag.Get("toml")
		switch t := f.Type; {
		case t.Kind() == reflect.Struct:
			keys = append(keys, keysOf(key+".", t)...)
		case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Struct:
			keys = append(keys, keysOf(key+".NAME.", t.Elem())...)
		default:
			keys = append(keys, key)
		}
	}
	return keys
}
