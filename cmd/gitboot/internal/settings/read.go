package settings

import (
	"errors"
	"io/fs"
	"os"
	"reflect"

	"github.com/BurntSushi/toml"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/owned"
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
	meta, err := toml.Decode(string(data), &c)
	if err != nil {
		return c, usage.Errorf("read %s: %w", path, err)
	}
	if problems := check(c, meta.Undecoded(), path, string(data)); len(problems) > 0 {
		return c, &usage.Error{Err: errors.New(problems.Error())}
	}
	return c, nil
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
