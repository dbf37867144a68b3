package signing

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/boot/efivar"
	"github.com/gitboot/gitboot/boot/secureboot"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler/secured"
)

// shown is the status as JSON has it.
type shown struct {
	Keys     string         `json:"keys"`
	Signer   *shownSigner   `json:"signer,omitempty"`
	NoSigner string         `json:"noSigner,omitempty"`
	Firmware *shownFirmware `json:"firmware,omitempty"`
	Programs []shownProgram `json:"programs"`
}

type shownSigner struct {
	Name    string `json:"name"`
	SHA256  string `json:"sha256"`
	CanSign bool   `json:"canSign"`
	Trusted bool   `json:"trusted"`
}

type shownFirmware struct {
	SecureBoot bool           `json:"secureBoot"`
	SetupMode  bool           `json:"setupMode"`
	Trusted    []shownTrusted `json:"trusted"`
}

type shownTrusted struct {
	Variable string `json:"variable"`
	Name     string `json:"name"`
	SHA256   string `json:"sha256,omitempty"`
}

type shownProgram struct {
	Path  string `json:"path"`
	By    string `json:"signedBy,omitempty"`
	Wrong string `json:"wrong,omitempty"`
}

func newStatus(s Site) *cobra.Command {
	c := &cobra.Command{Use: "status", Short: "What the firmware trusts, and whether what boots is signed by that", Args: usage.NoArgs,
		Long: `status tells what the firmware trusts, whether Secure Boot is on, or in setup mode, in
which keys can be enrolled, and of each program that boots, systemd-boot and gitboot's
entries, who has signed it: of those whom the firmware trusts or, where it trusts nobody
yet, these keys. It exits with 1 if a program is not signed so.`,
		Example: "  gitboot keys status\n  gitboot keys status --json"}
	keys := keysFlag(c)
	variables := c.Flags().String("variables", "", "`FOLDER` of the firmware's variables (default "+string(efivar.System)+")")
	asJSON := c.Flags().Bool("json", false, "print JSON with stable fields")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, at, err := folder(s, c, *keys)
		if err != nil {
			return err
		}
		found := secured.Machine{Keys: at, Boot: cfg.Boot, Stage: cfg.Stage, Variables: efivar.Folder(cmp.Or(*variables, string(efivar.System)))}.Look()
		if *asJSON {
			e := json.NewEncoder(c.OutOrStdout())
			e.SetIndent("", "  ")
			err = e.Encode(show(at, found))
		} else {
			err = tell(c.OutOrStdout(), at, found)
		}
		if err != nil {
			return err
		}
		return wrong(found)
	}
	return c
}

// wrong is the error of programs that would not start.
func wrong(s secured.Status) error {
	n := 0
	for _, p := range s.Programs {
		if p.By == "" {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%s would not start with Secure Boot on", screen.Count(n, "program"))
}

func show(at secureboot.Folder, s secured.Status) shown {
	out := shown{Keys: string(at), Programs: []shownProgram{}}
	if s.Unsigned != nil {
		out.NoSigner = s.Unsigned.Error()
	} else {
		out.Signer = &shownSigner{secureboot.Name(s.Signer.Certificate), sum(s.Signer.Certificate.Raw), s.Signer.CanSign(), s.Trusted}
	}
	if s.Firmware != nil {
		out.Firmware = &shownFirmware{s.Firmware.On, s.Firmware.Setup, []shownTrusted{}}
		for _, t := range s.Firmware.Trusted {
			one := shownTrusted{Variable: string(t.Role), Name: t.Name}
			if t.Certificate != nil {
				one.SHA256 = sum(t.Certificate.Raw)
			}
			out.Firmware.Trusted = append(out.Firmware.Trusted, one)
		}
	}
	for _, p := range s.Programs {
		out.Programs = append(out.Programs, shownProgram(p))
	}
	return out
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

func tell(w io.Writer, at secureboot.Folder, s secured.Status) error {
	var lines []string
	line := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	switch f := s.Firmware; {
	case f == nil:
		line("firmware: not known: %v", s.Unasked)
	case f.On:
		line("firmware: Secure Boot is on")
	case f.Setup:
		line("firmware: in setup mode: it takes keys, and starts whatever there is")
	default:
		line("firmware: Secure Boot is off")
	}
	if s.Firmware != nil {
		for _, t := range s.Firmware.Trusted {
			line("  %s: %s", t.Role, plain(t.Name))
		}
	}
	switch {
	case s.Unsigned != nil:
		line("keys: %v", s.Unsigned)
	case !s.Signer.CanSign():
		line("keys: %s: %s, without the private key that signs", at, secureboot.Name(s.Signer.Certificate))
	default:
		line("keys: %s: %s", at, secureboot.Name(s.Signer.Certificate))
	}
	if s.Unsigned == nil && s.Firmware != nil && !s.Trusted {
		line("  the firmware does not trust them: `gitboot keys enroll`")
	}
	if s.Unfound != nil {
		line("programs: %v", s.Unfound)
	}
	for _, p := range s.Programs {
		if p.By != "" {
			line("%s: signed by %s", p.Path, plain(p.By))
		} else {
			line("%s: %s", p.Path, plain(p.Wrong))
		}
	}
	for _, l := range lines {
		if _, err := fmt.Fprintln(w, l); err != nil {
			return err
		}
	}
	return nil
}

// plain is what somebody else has written, fit for a terminal.
func plain(text string) string { return strings.Trim(strconv.QuoteToGraphic(text), `"`) }
