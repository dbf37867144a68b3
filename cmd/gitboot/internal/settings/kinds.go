package settings

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

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

// A setting is one key of agent.toml that is set.
type setting struct {
	key, is string
	value   reflect.Value
	all     Config
	safe    func(path string) error
}

// kinds judge a setting by what it is, each in words, "" if nothing is wrong.
func kinds() map[string]func(setting) string {
	return map[string]func(setting) string{
		"path":          wrongPath,
		"paths":         each(relative),
		"count":         wrongCount,
		"commit":        wrongCommit,
		"socket":        wrongSocket,
		"signed":        wrongSigned,
		"peers":         wrongPeers,
		"verify":        wrongVerify,
		"token":         wrongToken,
		"name":          func(s setting) string { return spec.WrongText("name", s.value.String()) },
		"engine":        oneOf("is no engine of this gitboot", engines.Names()),
		"reboot":        oneOf("is no way to restart a machine", reboot.Policies()),
		"reboot-method": oneOf("is no method of restarting a machine", reboot.Methods()),
		"repo":          alone(source.CheckAddress),
		"repos":         each(wrongMirror),
		"hosts":         each(func(host string) string { return words(image.CheckTokenServer(host)) }),
		"ref":           alone(source.CheckRef),
		"proxy":         alone(proxy.CheckURL),
		"group":         alone(fleetlock.CheckGroup),
		"location":      alone(func(value string) error { _, err := parseLocation(value); return err }),
		"webhook":       whole(func(c Config) error { return c.Webhook.check() }),
		"metrics":       whole(func(c Config) error { return c.Metrics.Options().Check() }),
		"serve":         whole(func(c Config) error { return c.Serve.Options().Check() }),
		"page":          whole(func(c Config) error { return c.Page.Options().Check() }),
		"fleetlock":     whole(func(c Config) error { return c.Fleetlock.check() }),
		"builder":       whole(func(c Config) error { _, _, err := c.Buildkit.find().Builder.Endpoint(); return err }),
		"forge":         func(s setting) string { return words(s.all.forge(s.key).check(s.all.remotes())) },
		"events":        wrongNotify,
		"command":       wrongNotify,
		"notify-url":    wrongNotify,
		"notify-kind":   wrongNotify,
	}
}

// words are those of an error, "" of none.
func words(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

// alone judges a text by itself.
func alone(check func(string) error) func(setting) string {
	return func(s setting) string { return words(check(s.value.String())) }
}

// whole judges the table that a key is of, because its keys belong together.
func whole(check func(Config) error) func(setting) string {
	return func(s setting) string { return words(check(s.all)) }
}

// each judges the texts of a list, up to the first that is wrong.
func each(wrong func(string) string) func(setting) string {
	return func(s setting) string {
		for i := range s.value.Len() {
			if message := wrong(s.value.Index(i).String()); message != "" {
				return message
			}
		}
		return ""
	}
}

func oneOf(message string, names []string) func(setting) string {
	return func(s setting) string {
		if value := s.value.String(); !slices.Contains(names, value) {
			return message + nearest.Hint(value, names) + "; write one of " + strings.Join(names, ", ")
		}
		return ""
	}
}

const elsewhere = "a relative path, which means another file wherever gitboot is started; write it from /"

func wrongPath(s setting) string {
	if !filepath.IsAbs(s.value.String()) {
		return "is " + elsewhere
	}
	return words(s.safe(s.value.String()))
}

func relative(path string) string {
	if !filepath.IsAbs(path) {
		return fmt.Sprintf("names %q, %s", path, elsewhere)
	}
	return ""
}

func wrongMirror(address string) string {
	if err := source.CheckAddress(address); err != nil {
		return fmt.Sprintf("names %q, which %v", address, err)
	}
	return ""
}

func wrongCount(s setting) string {
	if s.value.Int() <= 0 {
		return "is not a positive number"
	}
	return ""
}

func wrongCommit(s setting) string {
	if !plumbing.IsHash(s.value.String()) {
		return "is no full hash of a commit; write the 40 digits that git rev-parse prints"
	}
	return ""
}

func wrongSocket(s setting) string {
	if !strings.HasPrefix(s.value.String(), "unix:///") {
		return "is no socket of this machine; write unix:///PATH, with three slashes"
	}
	return ""
}

// What has to be signed.
const signedTip, signedEvery = "tip", "every"

func wrongSigned(s setting) string {
	switch value := s.value.String(); {
	case value != signedTip && value != signedEvery:
		return "is neither \"tip\" nor \"every\""
	case s.all.TrustedKeys == "":
		return "says what has to be signed, and not by whom; name a file of keys in trusted_keys"
	}
	return ""
}

func wrongPeers(s setting) string {
	if s.value.String() != peersOfLAN {
		return "is no place to look for other machines; write \"" + peersOfLAN + "\", or leave it out"
	}
	return ""
}

func wrongVerify(s setting) string {
	if s.value.String() == integrity.Off {
		return ""
	}
	return spec.WrongText("cron", s.value.String())
}

// wrongToken judges a file with a token, and the host that it is for.
func wrongToken(s setting) string {
	if err := s.all.checkTokenHost(strings.TrimPrefix(s.key, tokenFiles)); err != nil {
		return err.Error()
	}
	return wrongPath(s)
}

func wrongNotify(s setting) string { return words(s.all.Notify.wrong(s.is, s.safe)) }
