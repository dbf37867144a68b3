package deployment

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const bootID = "0b8e2ff4-8dcf-4a9b-a0b5-6b2f4f1a2c3d"

func bootRecord() Boot {
	return Boot{
		ID: bootID, Machine: "laptop", Deployment: strings.Repeat("d", 64), Entry: "gitboot-desktop-0123", Trying: true, Via: ViaKexec,
		Started: time.Date(2026, 3, 1, 2, 3, 4, 0, time.UTC), Verdict: BootBad, Reason: "unit sshd.service: failed", Seconds: 612.5,
		Warnings: []string{"unit cups: inactive"}, Log: "[    1.0] a <b>\n[    2.0] ünïcode\n",
	}
}

func TestBootRoundTrip(t *testing.T) {
	data, err := bootRecord().Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseBoot(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(bootRecord(), got); diff != "" {
		t.Error(diff)
	}
	b := bootRecord()
	b.ID = "../../etc/passwd"
	if _, err := b.Encode(); err == nil {
		t.Error("a record is written wherever its id says")
	}
}

// A record is no larger than its bounds, whatever was written to the log.
func TestBootIsBounded(t *testing.T) {
	b := bootRecord()
	b.Log = strings.Repeat("ü\xff\x00 <&> \x01\x02\n", 1<<16)
	b.Reason = strings.Repeat("✓\xff", 1<<16)
	b.Machine, b.Entry = b.Reason, b.Reason
	for range 1000 {
		b.Warnings = append(b.Warnings, b.Reason)
	}
	data, err := b.Encode()
	if err != nil || len(data) > maxBootFile {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	got, err := ParseBoot(data)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got.Log, "ü") || !strings.HasSuffix(got.Log, "\x02\n") || len(got.Log) > MaxBootLog || len(got.Log) < MaxBootLog/2 {
		t.Errorf("of the log %d bytes are left: %.40q", len(got.Log), got.Log)
	}
	if !utf8.ValidString(got.Reason) || !strings.HasPrefix(got.Reason, "✓") || len(got.Reason) > maxReason {
		t.Errorf("the reason is %.40q", got.Reason)
	}
	if len(b.Warnings) != 1001 {
		t.Error("writing a record changes it")
	}
}

// What lies beside the records, or was cut short, keeps none from being read.
func TestReadBoots(t *testing.T) {
	stage := t.TempDir()
	if boots, err := ReadBoots(stage); err != nil || boots != nil {
		t.Fatalf("without the folder: %v, %v", boots, err)
	}
	dir := filepath.Join(stage, BootsDir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	older, newer := bootRecord(), bootRecord()
	newer.ID = strings.Replace(bootID, "0b", "0c", 1)
	newer.Started = newer.Started.Add(time.Hour)
	for _, b := range []Boot{older, newer} {
		data, err := b.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(stage, b.Path()), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good, err := older.Encode()
	if err != nil {
		t.Fatal(err)
	}
	id := func(c string) string { return c + bootID[1:] + ".json" }
	for name, text := range map[string]string{
		id("1"): "", id("2"): string(good[:len(good)/2]), id("3"): string(good), id("4"): "null", id("5"): strings.Repeat(" ", maxBootFile) + string(good),
		id("6"): `{"id":"` + "6" + bootID[1:] + `","deployment":"x"}`, ".gitboot-tmp-1": string(good), "x.json": string(good), "../boots.json": string(good),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/dev/zero", filepath.Join(dir, id("7"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, id("8")), 0o700); err != nil {
		t.Fatal(err)
	}
	boots, err := ReadBoots(stage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Boot{newer, older}, boots); diff != "" {
		t.Error(diff)
	}
	if b, err := ReadBoot(stage, bootID); err != nil || b.Started != older.Started {
		t.Errorf("%+v, %v", b, err)
	}
}

func FuzzParseBoot(f *testing.F) {
	good, err := bootRecord().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseBoot(data)
		if err != nil {
			return
		}
		again, err := b.Encode()
		if err != nil || len(again) > maxBootFile {
			t.Errorf("what was read is written in %d bytes, %v", len(again), err)
		}
	})
}
