package settings

import (
	"cmp"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/agent/fleetlock"
	"github.com/gitboot/gitboot/agent/reboot"
	"github.com/gitboot/gitboot/build/engine/engines"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/internal/nearest"
	"github.com/gitboot/gitboot/internal/proxy"
	"github.com/gitboot/gitboot/reconciler/integrity"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/spec"
)

// check names whatever is wrong with agent.toml, where it is, and what to do. Whether
// a path is safe from others is only known on the machine that it is of.
func check(c Config, unknown []toml.Key, file, text string, safe func(path string) error) (problems spec.Problems) {
	lines := spec.Lines(text)
	for _, key := range unknown {
		name := key.String()
		known := slices.DeleteFunc(keys(), func(k string) bool { return strings.Contains(k, ".") != strings.Contains(name, ".") })
		problems = append(problems, spec.Problem{
			File: file, Line: lines[name], Key: name, Message: "is not a known key" + nearest.Hint(name, known),
			Hint: "known are " + strings.Join(known, ", "),
		})
	}
	set := map[string]bool{}
	eachSetting("", reflect.ValueOf(c), func(key string, _ reflect.StructTag, value reflect.Value) { set[key] = !value.IsZero() })
	eachSetting("", reflect.ValueOf(c), func(key string, tag reflect.StructTag, value reflect.Value) {
		is, message := tag.Get("is"), ""
		if other := tag.Get("or"); set[other] {
			message = "says what " + other + " says, too; set one of them"
		} else {
			message = wrongSetting(key, is, value, c, safe)
		}
		if message != "" && set[key] {
			problems = append(problems, spec.Problem{File: file, Line: lines[key], Key: key, Value: shown(is, value), Message: message})
		}
	})
	slices.SortStableFunc(problems, func(a, b spec.Problem) int { return a.Line - b.Line })
	return problems
}

// eachSetting visits the keys of agent.toml, with their tags: is says what a key
// is, or which other key it is another word for. Of a table whose keys its owner
// chooses, the tags are those of each.
func eachSetting(section string, v reflect.Value, visit func(key string, tag reflect.StructTag, value reflect.Value)) {
	for f, value := range v.Fields() {
		key := section + f.Tag.Get("toml")
		switch f.Type.Kind() {
		case reflect.Struct:
			eachSetting(key+".", value, visit)
		case reflect.Map:
			for _, name := range value.MapKeys() {
				if entry := key + "." + name.String(); f.Type.Elem().Kind() == reflect.Struct {
					eachSetting(entry+".", value.MapIndex(name), visit)
				} else {
					visit(entry, f.Tag, value.MapIndex(name))
				}
			}
		default:
			visit(key, f.Tag, value)
		}
	}
}

// shown is a value as an error may repeat it: a proxy's may hold a password, and
// who knows the address of a topic or a chat may write there.
func shown(is string, v reflect.Value) string {
	if is == "proxy" || is == "notify-url" {
		return ""
	}
	return fmt.Sprint(v)
}

// What has to be signed.
const signedTip, signedEvery = "tip", "every"

func wrongSetting(key, is string, v reflect.Value, c Config, safe func(path string) error) string {
	var err error
	switch is {
	case "path":
		if !filepath.IsAbs(v.String()) {
			return "is a relative path, which means another file wherever gitboot is started; write it from /"
		}
		err = safe(v.String())
	case "paths":
		for i := range v.Len() {
			if path := v.Index(i).String(); !filepath.IsAbs(path) {
				return fmt.Sprintf("names %q, a relative path, which means another file wherever gitboot is started; write it from /", path)
			}
		}
	case "engine":
		if names := engines.Names(); !slices.Contains(names, v.String()) {
			return "is no engine of this gitboot" + nearest.Hint(v.String(), names) + "; write one of " + strings.Join(names, ", ")
		}
	case "reboot":
		if names := reboot.Policies(); !slices.Contains(names, v.String()) {
			return "is no way to restart a machine" + nearest.Hint(v.String(), names) + "; write one of " + strings.Join(names, ", ")
		}
	case "reboot-method":
		if names := reboot.Methods(); !slices.Contains(names, v.String()) {
			return "is no method of restarting a machine" + nearest.Hint(v.String(), names) + "; write one of " + strings.Join(names, ", ")
		}
	case "verify":
		if v.String() != integrity.Off {
			return spec.WrongText("cron", v.String())
		}
	case "count":
		if v.Int() <= 0 {
			return "is not a positive number"
		}
	case "hosts":
		for i := range v.Len() {
			err = cmp.Or(err, image.CheckTokenServer(v.Index(i).String()))
		}
	case "name":
		return spec.WrongText("name", v.String())
	case "commit":
		if !plumbing.IsHash(v.String()) {
			return "is no full hash of a commit; write the 40 digits that git rev-parse prints"
		}
	case "repo":
		err = source.CheckAddress(v.String())
	case "signed":
		switch {
		case v.String() != signedTip && v.String() != signedEvery:
			return "is neither \"tip\" nor \"every\""
		case c.TrustedKeys == "":
			return "says what has to be signed, and not by whom; name a file of keys in trusted_keys"
		}
	case "ref":
		err = source.CheckRef(v.String())
	case "proxy":
		err = proxy.CheckURL(v.String())
	case "repos":
		for i := range v.Len() {
			if wrong := source.CheckAddress(v.Index(i).String()); wrong != nil {
				return fmt.Sprintf("names %q, which %v", v.Index(i).String(), wrong)
			}
		}
	case "location":
		_, err = parseLocation(v.String())
	case "socket":
		if !strings.HasPrefix(v.String(), "unix:///") {
			return "is no socket of this machine; write unix:///PATH, with three slashes"
		}
	case "webhook":
		err = c.Webhook.check()
	case "metrics":
		err = c.Metrics.Options().Check()
	case "serve":
		err = c.Serve.Options().Check()
	case "events", "command", "notify-url", "notify-kind":
		err = c.Notify.wrong(is, safe)
	case "token":
		if err = c.checkTokenHost(strings.TrimPrefix(key, tokenFiles)); err == nil {
			return wrongSetting(key, "path", v, c, safe)
		}
	case "forge":
		err = c.forge(key).check(c.remotes())
	case "fleetlock":
		err = c.Fleetlock.check()
	case "group":
		err = fleetlock.CheckGroup(v.String())
	case "page":
		err = c.Page.Options().Check()
	case "peers":
		if v.String() != peersOfLAN {
			return "is no place to look for other machines; write \"" + peersOfLAN + "\", or leave it out"
		}
	case "builder":
		_, _, err = c.Buildkit.find().Builder.Endpoint()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
