// Package doctor looks at a machine as a careful operator would: whether all is
// there that the next reconcile and the next boot need, and what to do where it
// is not. It changes nothing but the clone of the config repo, which it brings up
// to date as `gitboot plan` does.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gitboot/gitboot/boot/efivar"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/reconciler"
)

// A Verdict is what was found.
type Verdict string

const (
	// OK is as it should be.
	OK Verdict = "ok"
	// Warn works, and somebody should look at it.
	Warn Verdict = "warn"
	// Fail keeps the next reconcile, or the next boot, from working.
	Fail Verdict = "fail"
	// Skip was not looked at.
	Skip Verdict = "skip"
)

// A Finding is what a check has to say of one thing. The JSON fields are stable.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	// Subject is which of several, such as a registry's name.
	Subject string `json:"subject,omitempty"`
	Message string `json:"message"`
	// Remedy is what to do about it.
	Remedy string `json:"remedy,omitempty"`
}

// A Patient is what is looked at.
type Patient struct {
	// Config is the machine's, as far as its settings can be read.
	Config reconciler.Config
	// File is where these lie, and Settings what is wrong with them.
	File     string
	Settings error
	// Program is what is wrong with the installation of gitboot's own programs.
	Program error
	// Named are the files that the settings name.
	Named []NamedFile
	// Restarts says that the agent restarts the machine by itself.
	Restarts bool
	// Kexec says that it does so by kexec.
	Kexec bool
	// Serve is what other machines are to find here.
	Serve Served
	// Offline asks nobody on a network.
	Offline bool
	// Variables are the firmware's, "" for where the kernel shows them.
	Variables efivar.Folder
	// Patience is how long one check may take.
	Patience time.Duration
}

// A NamedFile is a file that a key of the settings names.
type NamedFile struct {
	Key, Path string
	// Secret files are nobody's but their owner's.
	Secret bool
}

// A check looks at one thing.
type check struct {
	name string
	// online says that it asks somebody on a network.
	online bool
	look   func(context.Context, *visit) []Finding
}

// checks are all, in the order in which they are told: what a later one needs
// comes first.
func checks() []check {
	return []check{
		{name: "rights", look: checkRights},
		{name: "settings", look: checkSettings},
		{name: "credentials", look: checkCredentials},
		{name: "programs", look: checkPrograms},
		{name: "clock", look: checkClock},
		{name: "kernel", look: checkKernel},
		{name: "quarantine", look: checkQuarantine},
		{name: "config-repo", look: checkConfigRepo},
		{name: "registry", look: checkRegistries, online: true},
		{name: "peers", look: checkPeers},
		{name: "serve", look: checkServe},
		{name: "engine", look: checkEngines},
		{name: "stage", look: checkStage},
		{name: "space", look: checkSpace},
		{name: "image", look: checkImages},
		{name: "boot-loader", look: checkBootLoader},
		{name: "encryption", look: checkEncryption},
		{name: "menu", look: checkMenu},
		{name: "boot-block", look: checkBootBlock},
		{name: "secure-boot", look: checkSecureBoot},
		{name: "signing", look: checkSigning},
		{name: "boot-test", look: checkBootTest},
		{name: "service", look: checkService},
		{name: "restart", look: checkRestart},
		{name: "last-run", look: checkLastRun},
	}
}

// Examine makes all checks side by side, and returns what they found in a fixed
// order. None takes longer than the patient's patience.
func Examine(ctx context.Context, p Patient) ([]Finding, error) {
	v, done := p.visit(ctx)
	all := checks()
	found := make([]chan []Finding, len(all))
	for i, c := range all {
		found[i] = make(chan []Finding, 1)
		go func() { found[i] <- c.bounded(ctx, v) }()
	}
	var findings []Finding
	for i, c := range all {
		for _, f := range <-found[i] {
			f.Check, f.Subject = c.name, plain.Line(f.Subject)
			findings = append(findings, f)
		}
	}
	return findings, errors.Join(context.Cause(ctx), done())
}

// bounded makes a check, and goes on without one that does not end in time.
func (c check) bounded(ctx context.Context, v *visit) []Finding {
	if c.online && v.Offline {
		return skip("asks somebody on a network, and --offline was given")
	}
	ctx, cancel := context.WithTimeout(ctx, v.Patience)
	defer cancel()
	found := make(chan []Finding, 1)
	go func() { found <- c.look(ctx, v) }()
	select {
	case findings := <-found:
		return findings
	case <-ctx.Done():
	}
	select { // it may be telling just that
	case findings := <-found:
		return findings
	case <-time.After(time.Second):
		return fail(fmt.Sprintf("took longer than %s", v.Patience), "look at what it hangs on; --timeout gives it longer")
	}
}

func ok(format string, args ...any) []Finding {
	return []Finding{{Verdict: OK, Message: fmt.Sprintf(format, args...)}}
}

func skip(format string, args ...any) []Finding {
	return []Finding{{Verdict: Skip, Message: fmt.Sprintf(format, args...)}}
}

func warn(message, remedy string) []Finding {
	return []Finding{{Verdict: Warn, Message: message, Remedy: remedy}}
}

func fail(message, remedy string) []Finding {
	return []Finding{{Verdict: Fail, Message: message, Remedy: remedy}}
}
