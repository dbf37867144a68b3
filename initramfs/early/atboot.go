package early

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/gitboot/gitboot/initramfs/early/child"
)

const (
	// atBootLimit is for each script.
	atBootLimit  = 2 * time.Minute
	atBootOutput = 16 << 10
)

// runAtBoot runs the hooks' scripts in the new root, in order. One that fails
// fails the boot: what it should have set right isn't.
func (b *boot) runAtBoot() error {
	for _, script := range b.manifest.AtBoot {
		if err := b.runScript(script); err != nil {
			return fmt.Errorf("running %s in the new root: %w", script, err)
		}
	}
	return nil
}

func (b *boot) runScript(script string) error {
	text, err := child.Program{
		Argv: []string{script}, Root: newRoot, Limit: atBootLimit, Output: atBootOutput,
		Env: []string{"GITBOOT_IMAGE=" + b.manifest.Image, "GITBOOT_DEPLOYMENT=" + b.cmd.Deployment},
	}.Run(context.Background())
	if len(text) > 0 {
		b.log.info("%s: %s", script, bytes.ReplaceAll(text, []byte("\n"), []byte("\n"+script+": ")))
	}
	return err
}
