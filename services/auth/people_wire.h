/* SPDX-License-Identifier: MIT
 *
 * A person as the answer of several operations.
 */
#ifndef AUTH_PEOPLE_WIRE_H
#define AUTH_PEOPLE_WIRE_H

#include "people_store.h"
#include "wire.h"

Sekisho__Auth__User *people_wire(const struct store_person_view *v, struct arena *a);

#endif
