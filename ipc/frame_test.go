package ipc_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/masixun71/cupid/ipc"
)

func TestReadFrameRefusesWhatIsBroken(t *testing.T) {
	tests := []struct {
		name  string
		bytes string
		want  error
	}{
		{"nothing", "", io.EOF},
		{"half a header", "\x00\x00", io.ErrUnexpectedEOF},
		{"length 0", "\x00\x00\x00\x00", ipc.ErrFrameEmpty},
		{"one above the limit", "\x00\x40\x00\x01{", ipc.ErrFrameTooLarge},
		{"length 2^31", "\x80\x00\x00\x00{", ipc.ErrFrameTooLarge},
		{"length 2^32-1", "\xff\xff\xff\xff{", ipc.ErrFrameTooLarge},
		{"only a header", "\x00\x00\x00\x05", io.ErrUnexpectedEOF},
		{"half a frame", "\x00\x00\x00\x05{\"", io.ErrUnexpectedEOF},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := ipc.ReadFrame(strings.NewReader(test.bytes), nil)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// A peer that announces the largest frame and sends nothing must not cost that much memory.
func TestReadFrameDoesNotTrustTheLength(t *testing.T) {
	header := binary.BigEndian.AppendUint32(nil, ipc.MaxFrameBytes)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const frames = 100
	for range frames {
		if _, err := ipc.ReadFrame(bytes.NewReader(header), nil); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	got := (after.TotalAlloc - before.TotalAlloc) / frames
	if want := uint64(64 << 10); got > want {
		t.Errorf("allocated %d bytes for a frame that never came, want at most %d", got, want)
	}
}

func TestFrameBytes(t *testing.T) {
	tests := []struct {
		env  ipc.Envelope
		want string
	}{
		{ipc.Envelope{Type: "ready"}, "\x00\x00\x00\x10" + `{"type":"ready"}`},
		{ipc.Envelope{Type: "want", ID: 1<<64 - 1}, "\x00\x00\x00\x29" + `{"type":"want","id":18446744073709551615}`},
		{ipc.Envelope{Type: "done", Body: json.RawMessage(`[1]`)}, "\x00\x00\x00\x1a" + `{"type":"done","body":[1]}`},
		{ipc.Envelope{Type: "a\"b"}, "\x00\x00\x00\x0f" + `{"type":"a\"b"}`},
	}
	for _, test := range tests {
		got, err := ipc.AppendFrame([]byte("before"), test.env)
		if err != nil || string(got) != "before"+test.want {
			t.Errorf("frame of %v: got %q, %v, want %q", test.env, got, err, test.want)
		}
	}
}

func TestAppendFrameRefusesWhatThePeerWouldRefuse(t *testing.T) {
	tests := []struct {
		name string
		env  ipc.Envelope
		want error
	}{
		{"no type", ipc.Envelope{}, ipc.ErrFrameInvalid},
		{"no JSON", ipc.Envelope{Type: "x", Body: json.RawMessage(`{`)}, ipc.ErrFrameInvalid},
		{"two values", ipc.Envelope{Type: "x", Body: json.RawMessage(`1,"id":2`)}, ipc.ErrFrameInvalid},
		{"empty body", ipc.Envelope{Type: "x", Body: json.RawMessage{}}, ipc.ErrFrameInvalid},
		{"body too large", ipc.Envelope{Type: "x", Body: stringOf(ipc.MaxFrameBytes + 1)}, ipc.ErrFrameTooLarge},
		{"too large with its envelope", ipc.Envelope{Type: "x", Body: stringOf(ipc.MaxFrameBytes - 10)}, ipc.ErrFrameTooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ipc.AppendFrame([]byte("kept"), test.env)
			if !errors.Is(err, test.want) || string(got) != "kept" {
				t.Errorf("got %d bytes, %v, want %v and the bytes before", len(got), err, test.want)
			}
		})
	}
}

// stringOf returns a JSON string that is size bytes long, quotes included.
func stringOf(size int) json.RawMessage {
	return json.RawMessage(`"` + strings.Repeat("k", size-2) + `"`)
}

func TestLargestFrameMakesTheWay(t *testing.T) {
	body := stringOf(ipc.MaxFrameBytes - len(`{"type":"x","body":}`))
	frame, err := ipc.AppendFrame(nil, ipc.Envelope{Type: "x", Body: body})
	if err != nil {
		t.Fatal(err)
	}
	data, err := ipc.ReadFrame(bytes.NewReader(frame), nil)
	if err != nil || len(data) != ipc.MaxFrameBytes {
		t.Fatalf("got %d bytes, %v, want %d", len(data), err, ipc.MaxFrameBytes)
	}
	if env, err := ipc.ParseEnvelope(data); err != nil || !bytes.Equal(env.Body, body) {
		t.Errorf("body of %d bytes came back as %d bytes, %v", len(body), len(env.Body), err)
	}
}

func TestDecodeKeepsEveryDigit(t *testing.T) {
	var got map[string]any
	if err := ipc.Decode(json.RawMessage(`{"id":18446744073709551615}`), &got); err != nil {
		t.Fatal(err)
	}
	if got["id"] != json.Number("18446744073709551615") {
		t.Errorf("got %#v, want all digits", got["id"])
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, body := range []string{``, `{} {}`, `{}x`, `{"protocol":"one"}`} {
		var hello ipc.Hello
		if err := ipc.Decode(json.RawMessage(body), &hello); err == nil {
			t.Errorf("body %q was accepted", body)
		}
	}
}

// Any bytes: no panic, memory bound by what came, and what is accepted reads the same after a round trip, and the same as
// encoding/json reads it.
func FuzzReadFrame(f *testing.F) {
	for _, seed := range []string{
		"", "\x00", "\xff\xff\xff\xff{}", "\x00\x00\x00\x00", "\x00\x00\x00\x10" + `{"type":"ready"}`,
		"\x00\x00\x00\x1a" + `{"type":"done","body":[1]}`, "\x00\x00\x00\x14" + `{"type":"a","id":01}`,
		"\x00\x00\x00\x21" + `{"type":"a","body":1,"body":{"x":2}}`, "\x00\x00\x00\x13" + `{"type":"\u0061b"} `,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		data, err := ipc.ReadFrame(bytes.NewReader(input), nil)
		if limit := 2*len(input) + 8<<10; cap(data) > limit {
			t.Fatalf("%d bytes of input took %d bytes of memory", len(input), cap(data))
		}
		if err != nil {
			return
		}
		env, err := ipc.ParseEnvelope(data)
		var want ipc.Envelope
		wantErr := json.Unmarshal(data, &want)
		if wantErr == nil && want.Type == "" {
			wantErr = ipc.ErrFrameInvalid
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: got %v, encoding/json says %v", data, err, wantErr)
		}
		if err != nil {
			return
		}
		if env.Type != want.Type || env.ID != want.ID || !bytes.Equal(env.Body, want.Body) {
			t.Fatalf("%q: got %+v, want %+v", data, env, want)
		}
		again(t, env)
	})
}

func again(t *testing.T, env ipc.Envelope) {
	t.Helper()
	frame, err := ipc.AppendFrame(nil, env)
	if errors.Is(err, ipc.ErrFrameTooLarge) {
		return
	}
	if err != nil {
		t.Fatalf("%+v was read and cannot be written: %v", env, err)
	}
	data, err := ipc.ReadFrame(bytes.NewReader(frame), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ipc.ParseEnvelope(data)
	if err != nil || got.Type != env.Type || got.ID != env.ID || !bytes.Equal(got.Body, env.Body) {
		t.Fatalf("wrote %+v, read %+v, %v", env, got, err)
	}
}
