// Prints a name every second.
//
// names.h beside this file is the model: charlet export names-i8.charlet --to c -o names.h
#include <charlet.h>

#include "names.h"

static charlet_model model;
static uint64_t memory[(CHARLET_SESSION_SIZE(NAMES_STATE_WORDS, NAMES_WORKSPACE_WORDS) + 7) / 8];
static charlet_session *session;
static charlet_rng rng;

static void check(charlet_error error) {
  if (error == CHARLET_OK) return;
  for (;;) {
    Serial.println(charlet_error_text(error));
    delay(1000);
  }
}

void setup() {
  Serial.begin(115200);
  check(charlet_model_from_bytes(&model, names_model, sizeof names_model));
  check(charlet_session_init(&session, &model, memory, sizeof memory));
  // Always the same names. For others seed it with noise: analogRead of an open pin, say.
  charlet_rng_seed(&rng, 1);
}

void loop() {
  char name[20 + 1];
  check(charlet_session_start(session));
  check(charlet_session_generate(session, &charlet_temperature_0_8, &rng, 20, name, sizeof name));
  Serial.println(name);
  delay(1000);
}
