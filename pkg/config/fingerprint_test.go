package config_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/config"
	"github.com/masixun71/cupid/pkg/dsn"
	"github.com/masixun71/cupid/pkg/secret"
)

// decides says of each key of a source and of a destination whether it decides which rows
// differ.
var decides = map[string]map[string]bool{
	"Source": {
		"dsn": true, "user": false, "password": false, "caFile": false, "table": true, "byColumn": true,
		"insert": false, "insertIntervalMillisecond": false, "insertLateSecond": false,
		"update": false, "updateColumn": true, "updateIntervalMillisecond": false, "updateScanSecond": false, "updateTimeFormate": false,
		"sweep": false, "sweepIntervalSecond": false, "sweepRowPerSecond": false, "sweepThreadsRunning": false, "sweepLagSecond": false,
		"delete": true, "deletePerHour": false, "idColumn": true, "where": true, "timeZone": true,
		"cacheFilePath": false, "pushbearSendKey": false,
	},
	"Destination": {
		"name": false, "dsn": true, "user": false, "password": false, "caFile": false, "table": true, "byColumn": true,
		"columns": true, "tolerance": true, "timeZone": true, "maskColumns": false, "callbackNotification": false,
	},
}

// change gives a value of any key another one.
func change(t *testing.T, v reflect.Value) {
	t.Helper()
	switch value := v.Addr().Interface().(type) {
	case *bool:
		*value = !*value
	case *int:
		*value++
	case *string:
		*value += "x"
	case *secret.String:
		*value = secret.New("another")
	case *dsn.DSN:
		value.Addr += "1"
	case *[]string:
		*value = append(*value, "x")
	case *config.Names:
		*value = append(config.Names{"x"}, *value...)
	case *config.Columns:
		*value = append(config.Columns{{Src: "x", Des: "x"}}, *value...)
	case *config.Tolerances:
		*value = append(config.Tolerances{{Column: "x", Within: 1}}, *value...)
	case *config.CallbackNotification:
		value.URL += "x"
	default:
		t.Fatalf("no other value for a %T", value)
	}
}

// Every key is in the fingerprint of its pair that decides which rows differ, and no other.
func TestFingerprintIsOfWhatDecidesWhichRowsDiffer(t *testing.T) {
	t.Parallel()
	before := load(t, full).Pairs()[0].Fingerprint()
	for i, of := range []string{"Source", "Destination"} {
		sides := func(p config.Pair) reflect.Value {
			return []reflect.Value{reflect.ValueOf(p.Source), reflect.ValueOf(p.Destination)}[i].Elem()
		}
		kind := sides(load(t, full).Pairs()[0]).Type()
		for k := range kind.NumField() {
			key, _, _ := strings.Cut(kind.Field(k).Tag.Get("json"), ",")
			want, known := decides[of][key]
			if !known {
				t.Errorf("does %s of a %s decide which rows differ? Say so here, and mark its field as aside if it does not", key, of)
				continue
			}
			p := load(t, full).Pairs()[0]
			change(t, sides(p).Field(k))
			if got := p.Fingerprint() != before; got != want {
				t.Errorf("another %s of a %s makes another fingerprint: %v, want %v", key, of, got, want)
			}
		}
	}
	p := load(t, full).Pairs()[0]
	p.Source.DSN = p.Source.DSN.With("other", secret.New("another"))
	if p.Fingerprint() != before {
		t.Error("a login makes another fingerprint")
	}
	p.Source.DSN.Params = map[string]string{"sql_mode": "''"}
	if p.Fingerprint() == before {
		t.Error("a parameter of the dsn makes no other fingerprint")
	}
}
